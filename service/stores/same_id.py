"""Find a row by the id a client names."""

from __future__ import annotations

import uuid

import sqlalchemy as sa


def same_id(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """Whether the column, a UUID, is `text`; false for a text that is none, which Postgres would refuse."""
    try:
        written = str(uuid.UUID(text))
    except ValueError:
        return sa.false()
    return column == text if written == text else sa.false()
