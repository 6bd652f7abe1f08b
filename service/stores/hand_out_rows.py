"""What is handed out, read in one SELECT together with who asks and where the audit trail ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.identity import Scope, Token
from service.domain.model import ModelVersion
from service.domain.refusals import no_stage, nothing_in
from service.stores.audit_rows import CHANNEL
from service.stores.reading_connection import ReadingConnection
from service.stores.stage_rows import assignment_of
from service.stores.version_rows import version_of
from service.usecases.hand_out_ports import LIMIT, Held, Holding, Logged, Read

WHOLE_LIMIT = 0.45
_ASKED = """
SELECT (SELECT coalesce(max(seq), 0) FROM registry.audit) AS position,
       t.id AS token_id, t.name AS token_name, t.scopes AS token_scopes, t.created_by AS token_created_by,
       t.created_at AS token_created_at, t.expires_at AS token_expires_at, t.revoked_at AS token_revoked_at
"""
_BY = "FROM (SELECT 1) AS one LEFT JOIN registry.tokens t ON t.hash = $1"
_STAGES = "(SELECT stages FROM registry.environments WHERE name = $2) AS stages"
_ROW = "seq, at, action, environment, model, subject, CASE WHEN action = 'stage.changed' THEN after END AS after"
_PREPARED = {
    "environment (bytea, text)": f"{_ASKED}, {_STAGES} {_BY}",
    "stage (bytea, text, text, text)": f"""
        {_ASKED}, {_STAGES}, EXISTS (SELECT FROM registry.models WHERE name = $3 AND deleted_at IS NULL) AS has_model,
        v.*, a.revision, a.assigned_by, a.assigned_at, a.comment
        {_BY}
        LEFT JOIN registry.assignments a ON a.environment = $2 AND a.model = $3 AND a.stage = $4
        LEFT JOIN registry.versions v ON v.model = a.model AND v.version = a.version""",
    "held (bytea, text, text, text[])": f"""
        {_ASKED}, {_STAGES}, (
            SELECT coalesce(json_agg(json_build_array(a.model, a.stage, a.version, v.digest, a.revision, a.assigned_by,
                a.assigned_at, a.comment) ORDER BY a.model COLLATE "C", a.stage COLLATE "C"), '[]')
            FROM registry.assignments a JOIN registry.versions v ON v.model = a.model AND v.version = a.version
            WHERE a.environment = $2 AND ($3 = '' OR a.stage = $3) AND (cardinality($4) = 0 OR a.model = ANY ($4))
        ) AS held
        {_BY}""",
    "changes (bigint, int)": f"SELECT {_ROW} FROM registry.audit WHERE seq > $1 ORDER BY seq LIMIT $2",
    "stage_changes (text, bigint, int)": f"""
        SELECT {_ROW} FROM registry.audit
        WHERE environment = $1 AND seq > $2 AND action = 'stage.changed' ORDER BY seq LIMIT $3""",
}
_PREPARE = ";".join(f"PREPARE {head} AS {text}" for head, text in _PREPARED.items())


class PostgresHandOut:
    """Implements `service.usecases.hand_out_ports.HandOut`, with connections that read and one that listens."""

    def __init__(self, engine: sa.Engine) -> None:
        _, given = engine.dialect.create_connect_args(engine.url)
        given = {**given, "application_name": "model-registry hand-out", "connect_timeout": 2}
        self._reading = ReadingConnection(given, _PREPARE, LIMIT)
        self._whole = ReadingConnection(given, _PREPARE, WHOLE_LIMIT)  # nobody waits behind a long one
        self._listening = ReadingConnection(given, f"LISTEN {CHANNEL}", LIMIT)

    def stage(self, secret: bytes, place: Place) -> Read[tuple[Assignment, ModelVersion]]:
        over, row = self._row("EXECUTE stage (%s, %s, %s, %s)", (secret, *place))
        if row.version is None:
            return Read(over, row.position, _token(row), _absence(row, place))
        return Read(over, row.position, _token(row), (assignment_of(place, row), version_of(row)))

    def held(self, secret: bytes, asked: Holding) -> Read[Held]:
        values = (secret, asked.environment, asked.stage, list(asked.models))
        over = self._reading.made  # what the trail is read over: it tells whether this is kept too long
        row = self._whole.rows("EXECUTE held (%s, %s, %s, %s)", values)[1][0]
        found: Held | NotFound
        if row.stages is None:
            found = NotFound("environment", asked.environment)
        elif asked.stage and asked.stage not in row.stages:
            found = no_stage(asked.environment, asked.stage)
        else:
            held = [_assignment(asked.environment, values) for values in row.held]
            found = Held(asked.environment, tuple(row.stages), held)
        return Read(over, row.position, _token(row), found)

    def environment(self, secret: bytes, name: str) -> Read[tuple[str, ...]]:
        over, row = self._row("EXECUTE environment (%s, %s)", (secret, name))
        found = NotFound("environment", name) if row.stages is None else tuple(row.stages)
        return Read(over, row.position, _token(row), found)

    def _row(self, statement: str, values: tuple[object, ...]) -> tuple[int, Any]:
        over, rows = self._reading.rows(statement, values)
        return over, rows[0]

    def changes(self, after: int, limit: int) -> Sequence[Logged]:
        return [Logged(*row) for row in self._reading.rows("EXECUTE changes (%s, %s)", (after, limit))[1]]

    def stage_changes(self, environment: str, after: int, limit: int) -> Sequence[Logged]:
        values = (environment, after, limit)
        return [Logged(*row) for row in self._reading.rows("EXECUTE stage_changes (%s, %s, %s)", values)[1]]

    def connections(self) -> int:
        return self._reading.made

    def listen(self, seconds: float) -> None:
        self._listening.wait(seconds)

    def close(self) -> None:
        self._reading.close()
        self._whole.close()
        self._listening.close()


def _token(row: Any) -> Token | None:
    if row.token_id is None:
        return None
    return Token(
        id=row.token_id,
        name=row.token_name,
        scopes=tuple(Scope.parse(text) for text in row.token_scopes),
        created_by=row.token_created_by,
        created_at=row.token_created_at,
        expires_at=row.token_expires_at,
        revoked_at=row.token_revoked_at,
    )


def _absence(row: Any, place: Place) -> NotFound:
    if row.stages is None:
        return NotFound("environment", place.environment)
    if place.stage not in row.stages:
        return no_stage(place.environment, place.stage)
    if not row.has_model:
        return NotFound("model", place.model)
    return nothing_in(place)


def _assignment(environment: str, values: Sequence[Any]) -> Assignment:
    model, stage, version, digest, revision, by, at, comment = values
    return Assignment(environment, model, stage, version, digest, revision, by, datetime.fromisoformat(at), comment)
