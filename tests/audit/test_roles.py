"""Two roles: the service works with all its tables, and can do nothing to the audit trail but add to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.exc import ProgrammingError

from service.api.problem_documents import problem_document
from service.app import create_app
from service.domain.audit import AuditQuery
from service.domain.identity import OPERATOR
from service.embedded.postgres import SERVICE
from service.settings import Settings
from service.stores.grants import GrantError, grant
from service.stores.migrate import MigrationError, grant_to, migrate
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.manage_places import put_workspace
from service.usecases.manage_tokens import create_token
from service.usecases.run_import import Importer
from service.wiring import make_parts
from tests.api.conftest import ORDERS
from tests.audit.conftest import of_role

FORBIDDEN = (
    "UPDATE registry.audit SET actor = 'nobody'",
    "UPDATE registry.audit SET actor = 'nobody' WHERE false",
    "DELETE FROM registry.audit",
    "TRUNCATE registry.audit",
    "DROP TABLE registry.audit",
    "ALTER TABLE registry.audit DISABLE TRIGGER audit_append_only",
    "ALTER TABLE registry.audit DISABLE TRIGGER ALL",
    "ALTER TABLE registry.audit ADD COLUMN more text",
    "DROP TRIGGER audit_append_only ON registry.audit",
    "DROP FUNCTION registry.refuse_change_of_audit() CASCADE",
    "CREATE OR REPLACE FUNCTION registry.refuse_change_of_audit() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "CREATE TRIGGER more BEFORE INSERT ON registry.audit EXECUTE FUNCTION registry.refuse_change_of_audit()",
    "CREATE RULE more AS ON INSERT TO registry.audit DO INSTEAD NOTHING",
    "DROP SCHEMA registry CASCADE",
    "SET session_replication_role = replica",
    "SET ROLE registry",
    "INSERT INTO registry.audit SELECT * FROM registry.audit ON CONFLICT (seq) DO UPDATE SET actor = 'nobody'",
    "MERGE INTO registry.audit a USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "UPDATE registry.alembic_version SET version_num = '0001'",
)


def rows(engine: sa.Engine) -> list[sa.Row[tuple[object, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT * FROM registry.audit ORDER BY seq")))


def refused(engine: sa.Engine, statement: str, *before: str) -> str:
    """What the database says to the statement; nothing when it obeys. Whatever it did is undone."""
    with engine.connect() as connection:
        for setting in before:
            connection.execute(sa.text(setting))
        try:
            connection.execute(sa.text(statement))
        except ProgrammingError as error:
            return f"{type(error.orig).__name__}: {error.orig}"
        finally:
            connection.rollback()
    return ""


def test_what_the_service_s_role_cannot(trail: PostgresRegistry, service: sa.Engine) -> None:
    before = rows(service)
    assert len(before) == 5
    answers = {statement: refused(service, statement) for statement in FORBIDDEN}
    assert {statement for statement, said in answers.items() if "InsufficientPrivilege" not in said} == set()
    assert rows(service) == before


def test_triggers_refuse_everyone(trail: PostgresRegistry, owner: sa.Engine) -> None:
    before = rows(owner)
    for setting in ("origin", "replica"):
        for statement in ("UPDATE registry.audit SET at = at", *FORBIDDEN[1:4]):
            said = refused(owner, statement, f"SET LOCAL session_replication_role = {setting}")
            assert "never changed or removed" in said, (setting, statement)
    assert rows(owner) == before


def test_the_whole_story_as_the_service_s_role(service: sa.Engine, settings: Settings) -> None:
    """Imports, stages, tokens and the job queue need nothing that is not granted."""
    parts = make_parts(settings, service)
    client: FlaskClient = create_app(settings, parts).test_client()
    secret = create_token(parts.store, parts.clock, OPERATOR, "admin", ["admin"], None)[1]
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    assert client.get("/readyz").status_code == 200
    assert client.put("/v1/workspaces/dev", json={"kind": "mlflow"}).status_code == 201
    assert client.put("/v1/environments/prod", json={}).status_code == 201
    received = client.post("/v1/workspaces/dev/imports", data=ORDERS).get_json()
    Importer(parts.store, parts.objects, parts.tracking, parts.clock, problem_document).run(received["id"])
    assert client.get(f"/v1/imports/{received['id']}").get_json()["state"] == "done"
    stage = "/v1/environments/prod/models/orders/stages/Production"
    assert client.put(stage, json={"version": 1}).status_code == 200
    assert client.get(f"{stage}/files").status_code == 200
    assert client.delete("/v1/workspaces/dev").status_code == 409
    actions = [row["action"] for row in client.get("/v1/audit").get_json()["rows"]][::-1]
    assert actions == [
        "token.created",
        "workspace.created",
        "environment.created",
        "import.received",
        "version.registered",
        "version.registered",
        "model.created",
        "import.done",
        "stage.changed",
        "promotion.applied",
        "files.handed_out",
    ]


def test_an_owner_who_is_no_superuser(admin_engine: sa.Engine, settings: Settings) -> None:
    """As docs/deployment.md has it: everything from an empty database on."""
    with admin_engine.connect() as connection:
        connection.execute(sa.text("CREATE ROLE plain_owner LOGIN"))
        connection.execute(sa.text("CREATE DATABASE owned OWNER plain_owner"))
        connection.execute(sa.text("REVOKE ALL ON DATABASE owned FROM PUBLIC"))
    url = sa.make_url(settings.database_url).set(database="owned").render_as_string(hide_password=False)
    owner, service = make_engine(of_role(url, "plain_owner")), make_engine(of_role(url, SERVICE))
    try:
        migrate(owner, lambda _: None, SERVICE)
        store = PostgresRegistry(service, JobQueue())
        store.check()
        put_workspace(store, utc_now, OPERATOR, "dev", "mlflow", "", "")
        assert [row.action for row in rows(service)] == ["workspace.created"]
        assert {s for s in FORBIDDEN if "InsufficientPrivilege" not in refused(service, s)} == set()
    finally:
        owner.dispose()
        service.dispose()
        with admin_engine.connect() as connection:
            connection.execute(sa.text("DROP DATABASE owned WITH (FORCE)"))
            connection.execute(sa.text("DROP ROLE plain_owner"))


def test_granting_twice_and_after_too_much(owner: sa.Engine, service: sa.Engine, trail: PostgresRegistry) -> None:
    with owner.begin() as connection:
        connection.execute(sa.text(f"GRANT ALL ON registry.audit TO {SERVICE}"))
    grant_to(owner, lambda _: None, SERVICE)
    with service.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(sa.text("DELETE FROM registry.audit"))
    with trail.transaction() as tx:
        assert len(tx.audit.chain(AuditQuery(), 9)) == 5


@pytest.fixture
def role(admin_engine: sa.Engine, owner: sa.Engine) -> Iterator[Callable[[str], str]]:
    """Makes one role with these attributes."""

    def make(attributes: str) -> str:
        with admin_engine.connect() as connection:
            connection.execute(sa.text(f"CREATE ROLE other {attributes}"))
        return "other"

    yield make
    with owner.begin() as connection:
        connection.execute(sa.text("DROP OWNED BY other"))
    with admin_engine.connect() as connection:
        connection.execute(sa.text("DROP ROLE other"))


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ("SUPERUSER", "is a superuser, or owns the tables"),
        ("IN ROLE registry", "belongs to a role that does"),
        ("IN ROLE pg_write_all_data", "by way of another role"),
    ],
)
def test_roles_that_could_get_around_it(
    owner: sa.Engine, role: Callable[[str], str], attributes: str, complaint: str
) -> None:
    with pytest.raises(MigrationError, match=complaint):
        grant_to(owner, lambda _: None, role(attributes))


def test_a_role_with_an_odd_name(owner: sa.Engine, admin_engine: sa.Engine) -> None:
    name = 'o"d d'
    with admin_engine.connect() as connection:
        connection.execute(sa.text('CREATE ROLE "o""d d"'))
    try:
        with owner.begin() as connection:
            grant(connection, name)
            granted = sa.text("SELECT has_table_privilege(:role, 'registry.audit', 'INSERT')")
            assert connection.scalar(granted, {"role": name})
            connection.rollback()
    finally:
        with admin_engine.connect() as connection:
            connection.execute(sa.text('DROP ROLE "o""d d"'))


def test_a_role_that_is_not_there(owner: sa.Engine) -> None:
    with owner.begin() as connection, pytest.raises(GrantError, match="There is no role 'absent'"):
        grant(connection, "absent")


def test_one_role_is_told(owner: sa.Engine) -> None:
    told: list[str] = []
    grant_to(owner, told.append, "")
    assert told == ["One role owns the tables and serves: only triggers keep it from changing the audit trail"]
