"""Tables of signatures and of the public keys that verify them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service.stores.tables import manifests, metadata

TIME = sa.DateTime(timezone=True)

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("since", TIME, nullable=False),
)

signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("digest", sa.ForeignKey(manifests.c.digest, ondelete="CASCADE"), primary_key=True),
    sa.Column("key_id", sa.ForeignKey(signing_keys.c.id), primary_key=True),
    sa.Column("bundle", JSONB, nullable=False),
    sa.Column("signed_at", TIME, nullable=False),
)
