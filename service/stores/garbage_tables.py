"""Tables of collecting garbage: what is claimed, and since when something is not needed."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.domain.importing import ImportState
from service.stores.tables import imports, manifests, metadata

TIME = sa.DateTime(timezone=True)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("folder", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("until", TIME, nullable=False),
    sa.Index("claims_holder_idx", "holder"),
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("digest", sa.ForeignKey(manifests.c.digest, ondelete="CASCADE"), primary_key=True),
    sa.Column("marked_at", TIME, nullable=False),
)

_LOCK = "hashtextextended('collect leftovers', 0)"
HOLD = sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})")
"""Whoever deletes executes this first; until its transaction ends nobody claims anything."""
CLAIM = sa.text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def claimed(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a row of `claims` still counts."""
    running = sa.select(sa.cast(imports.c.id, sa.Text)).where(imports.c.state == ImportState.RUNNING)
    return (claims.c.until > now) | claims.c.holder.in_(running)
