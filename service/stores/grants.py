"""What the service's role may do when another role owns the tables: all it needs, but only add to the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from service.stores.queue import SCHEMA as JOBS
from service.stores.tables import SCHEMA as OURS

THEIRS = "public"
AUDIT = f"{OURS}.audit"
TOO_MUCH = "UPDATE, DELETE, TRUNCATE, TRIGGER"
_MEMBER = f"""
SELECT pg_has_role(:role, c.relowner, 'MEMBER') OR pg_has_role(:role, n.nspowner, 'MEMBER')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = '{AUDIT}'::regclass
"""


class GrantError(Exception):
    """The service's role cannot be given what it needs, or has more than it may have."""


def grant(connection: sa.Connection, role: str) -> None:
    """Give the role its privileges, in the caller's transaction; what it had on the audit trail is taken away first.

    Raises:
        GrantError: when there is no such role, or it could get around what is granted.
    """
    if connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is None:
        raise GrantError(f"There is no role {role!r}: create it with CREATE ROLE … LOGIN PASSWORD …")
    if connection.scalar(sa.text(_MEMBER), {"role": role}):
        raise GrantError(
            f"The service's role {role!r} is a superuser, or owns the tables, or belongs to a role that does: "
            "give the service a role of its own in MODEL_REGISTRY_DATABASE_URL"
        )
    try:
        for statement in _statements(connection, role):
            connection.execute(sa.text(statement))
    except ProgrammingError as error:  # the driver's text stays out of the message, the statement is our own
        raise GrantError(
            f"The role that migrates may not do this, so do it as a superuser: {error.statement}"
        ) from error
    if connection.scalar(sa.text(f"SELECT has_table_privilege(:role, '{AUDIT}', '{TOO_MUCH}')"), {"role": role}):
        raise GrantError(f"The service's role {role!r} may change the audit trail by way of another role it belongs to")


def _statements(connection: sa.Connection, role: str) -> list[str]:
    preparer = connection.dialect.identifier_preparer
    to = preparer.quote_identifier(role)
    name = str(connection.scalar(sa.text("SELECT current_database()")))
    statements = [
        f"GRANT {privilege} ON DATABASE {preparer.quote_identifier(name)} TO {to}"
        for privilege in ("CONNECT", "TEMPORARY")
        if not connection.scalar(
            sa.text("SELECT has_database_privilege(:role, :name, :privilege)"),
            {"role": role, "name": name, "privilege": privilege},
        )
    ]
    for schema in (THEIRS, OURS, JOBS):
        if not connection.scalar(sa.text(f"SELECT has_schema_privilege(:role, '{schema}', 'USAGE')"), {"role": role}):
            statements.append(f"GRANT USAGE ON SCHEMA {schema} TO {to}")
        statements += [
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {to}",
            f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {to}",
        ]
    for table in (AUDIT, f"{OURS}.alembic_version", f"{THEIRS}.alembic_version"):
        statements += [f"REVOKE ALL ON {table} FROM {to}", f"GRANT SELECT ON {table} TO {to}"]
    return [*statements, f"GRANT INSERT ON {AUDIT} TO {to}"]
