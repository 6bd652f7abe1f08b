"""The table of instances, which serve stages."""

from __future__ import annotations

import sqlalchemy as sa

from service.stores.tables import environments, metadata

TIME = sa.DateTime(timezone=True)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("environment", sa.ForeignKey(environments.c.name, ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("since", TIME, nullable=False),
    sa.Column("reported_at", TIME, nullable=False),
    sa.Column("lease_end", TIME, nullable=False),
    sa.Column("reported_by", sa.Text, nullable=False),
    sa.Index("instances_digest_lease_end_idx", "digest", "lease_end"),
    sa.Index("instances_lease_end_idx", "lease_end"),
)
