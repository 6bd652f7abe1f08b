"""Rows of workspaces, environments and tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from service.domain.environment import Environment, Freeze
from service.domain.errors import InUse, NotFound
from service.domain.identity import Scope, Token
from service.domain.workspace import Workspace
from service.stores import tables as t
from service.stores.same_id import same_id


class PostgresWorkspaces:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, workspace: Workspace) -> bool:
        changed = {"kind": workspace.kind, "url": workspace.url, "description": workspace.description}
        statement = (
            insert(t.workspaces)
            .values(name=workspace.name, created_at=workspace.created_at, **changed)
            .on_conflict_do_update(index_elements=["name"], set_=changed)
            .returning(sa.text("xmax = 0"))
        )
        return bool(self._connection.scalar(statement))

    def get(self, name: str) -> Workspace:
        row = self._connection.execute(sa.select(t.workspaces).where(t.workspaces.c.name == name)).one_or_none()
        if row is None:
            raise NotFound("workspace", name)
        return Workspace(**row._mapping)

    def list(self) -> Sequence[Workspace]:
        rows = self._connection.execute(sa.select(t.workspaces).order_by(t.workspaces.c.name))
        return [Workspace(**row._mapping) for row in rows]

    def delete(self, name: str) -> None:
        try:
            gone = self._connection.execute(sa.delete(t.workspaces).where(t.workspaces.c.name == name))
        except IntegrityError as error:
            raise InUse(
                f"Workspace {name!r} has imports, uploads or models, whose lineage names it.", workspace=name
            ) from error
        if not gone.rowcount:
            raise NotFound("workspace", name)


class PostgresEnvironments:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, environment: Environment) -> bool:
        changed = {"stages": list(environment.stages), "description": environment.description}
        statement = (
            insert(t.environments)
            .values(name=environment.name, created_at=environment.created_at, **changed)
            .on_conflict_do_update(index_elements=["name"], set_=changed)
            .returning(sa.text("xmax = 0"))
        )
        created = bool(self._connection.scalar(statement))
        held = self._connection.execute(
            sa.select(t.assignments.c.stage, t.assignments.c.model)
            .where(t.assignments.c.environment == environment.name)
            .where(t.assignments.c.stage.not_in(environment.stages))
        ).first()
        if held:
            raise InUse(
                f"Stage {held.stage!r} cannot be left out: it holds a version of model {held.model!r}.",
                field="stages",
            )
        return created

    def get(self, name: str) -> Environment:
        row = self._connection.execute(sa.select(t.environments).where(t.environments.c.name == name)).one_or_none()
        if row is None:
            raise NotFound("environment", name)
        return _environment(row)

    def stages_for_share(self, name: str) -> Sequence[str]:
        """The stages, which nobody changes before the transaction ends. Raises NotFound."""
        query = sa.select(t.environments.c.stages).where(t.environments.c.name == name).with_for_update(read=True)
        stages: Sequence[str] | None = self._connection.scalar(query)
        if stages is None:
            raise NotFound("environment", name)
        return stages

    def freeze(self, name: str, freeze: Freeze | None) -> None:
        written = self._connection.execute(
            sa.update(t.environments)
            .where(t.environments.c.name == name)
            .values(
                freeze_reason=freeze and freeze.reason,
                freeze_by=freeze and freeze.by,
                freeze_at=freeze and freeze.at,
                freeze_until=freeze and freeze.until,
            )
        )
        if not written.rowcount:
            raise NotFound("environment", name)

    def list(self) -> Sequence[Environment]:
        rows = self._connection.execute(sa.select(t.environments).order_by(t.environments.c.name))
        return [_environment(row) for row in rows]

    def delete(self, name: str) -> None:
        try:
            gone = self._connection.execute(sa.delete(t.environments).where(t.environments.c.name == name))
        except IntegrityError as error:
            raise InUse(f"Stages of environment {name!r} hold versions.", environment=name) from error
        if not gone.rowcount:
            raise NotFound("environment", name)


def _environment(row: sa.Row[Any]) -> Environment:
    freeze = None
    if row.freeze_reason is not None:
        freeze = Freeze(row.freeze_reason, row.freeze_by, row.freeze_at, row.freeze_until)
    return Environment(row.name, tuple(row.stages), row.description, row.created_at, freeze)


class PostgresTokens:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, token: Token, hash: bytes) -> None:
        self._connection.execute(
            sa.insert(t.tokens).values(
                id=token.id,
                name=token.name,
                hash=hash,
                scopes=[str(scope) for scope in token.scopes],
                created_by=token.created_by,
                created_at=token.created_at,
                expires_at=token.expires_at,
            )
        )

    def find(self, hash: bytes) -> Token | None:
        row = self._connection.execute(sa.select(t.tokens).where(t.tokens.c.hash == hash)).one_or_none()
        return _token(row) if row else None

    def get(self, token_id: str) -> Token:
        row = self._connection.execute(sa.select(t.tokens).where(same_id(t.tokens.c.id, token_id))).one_or_none()
        if row is None:
            raise NotFound("token", token_id)
        return _token(row)

    def list(self) -> Sequence[Token]:
        rows = self._connection.execute(sa.select(t.tokens).order_by(t.tokens.c.created_at, t.tokens.c.id))
        return [_token(row) for row in rows]

    def held(self, ids: Collection[str]) -> Mapping[str, Token]:
        known = sa.or_(sa.false(), *(same_id(t.tokens.c.id, token_id) for token_id in ids))
        rows = self._connection.execute(
            sa.select(t.tokens).where(known).order_by(t.tokens.c.id).with_for_update(read=True)
        )
        return {row.id: _token(row) for row in rows}

    def revoke(self, token_id: str, at: datetime) -> Token:
        row = self._connection.execute(
            sa.update(t.tokens)
            .where(same_id(t.tokens.c.id, token_id))
            .values(revoked_at=sa.func.coalesce(t.tokens.c.revoked_at, at))
            .returning(t.tokens)
        ).one_or_none()
        if row is None:
            raise NotFound("token", token_id)
        return _token(row)


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=tuple(Scope.parse(text) for text in row.scopes),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
