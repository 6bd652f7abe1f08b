"""Rows of browsers' sessions that were ended."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.stores.tables import metadata

ended_sessions = sa.Table(
    "ended_sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
)


class PostgresEndedSessions:
    """Implements `service.usecases.session_ports.EndedSessions`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, session_id: str, now: datetime, until: datetime) -> None:
        self._connection.execute(sa.delete(ended_sessions).where(ended_sessions.c.until < now))
        self._connection.execute(insert(ended_sessions).values(id=session_id, until=until).on_conflict_do_nothing())

    def has(self, session_id: str) -> bool:
        return self._connection.scalar(sa.select(sa.exists().where(ended_sessions.c.id == session_id))) is True
