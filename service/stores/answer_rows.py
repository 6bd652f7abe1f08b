"""Rows of answers that are given again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import KeyReused
from service.stores.promotion_tables import answers
from service.usecases.stage_ports import Answer

_c = answers.c


class PostgresAnswers:
    """Implements `service.usecases.stage_ports.Answers`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def claim(self, token_id: str, key: str, fingerprint: str, at: datetime, since: datetime) -> Answer | None:
        values = {"fingerprint": fingerprint, "at": at}
        # A key that another transaction has just claimed makes this wait for that one's end.
        statement = insert(answers).values(token_id=token_id, key=key, **values)
        claimed = self._connection.scalar(
            statement.on_conflict_do_update(
                index_elements=["token_id", "key"],
                set_={**values, "status": None, "body": None, "headers": None},
                where=_c.at < since,
            ).returning(_c.key)
        )
        if claimed is not None:
            return None
        row = self._connection.execute(sa.select(answers).where(_c.token_id == token_id, _c.key == key)).one()
        if row.fingerprint != fingerprint:
            raise KeyReused(
                "This Idempotency-Key was already used for another request; use a new key.", header="Idempotency-Key"
            )
        return Answer(row.status, row.body, row.headers)

    def keep(self, token_id: str, key: str, answer: Answer) -> None:
        self._connection.execute(
            sa.update(answers)
            .where(_c.token_id == token_id, _c.key == key)
            .values(status=answer.status, body=answer.body, headers=dict(answer.headers))
        )

    def purge(self, before: datetime) -> int:
        return self._connection.execute(sa.delete(answers).where(_c.at < before)).rowcount
