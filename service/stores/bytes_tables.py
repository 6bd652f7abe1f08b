"""The tables of what is known of stored bytes."""

from __future__ import annotations

import sqlalchemy as sa

from service.stores.tables import manifests, metadata

damages = sa.Table(
    "damages",
    metadata,
    sa.Column("digest", sa.ForeignKey(manifests.c.digest, ondelete="CASCADE"), primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)

tars = sa.Table(
    "tars",
    metadata,
    sa.Column("digest", sa.ForeignKey(manifests.c.digest, ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
)
