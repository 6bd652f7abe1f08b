"""Rows of signatures."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.refusals import no_signature
from service.domain.signature import Signature, SigningKey
from service.stores import tables as t
from service.stores.plain import plain
from service.stores.signature_tables import signatures, signing_keys


class PostgresSignatures:
    """Implements `service.usecases.signing_ports.Signatures`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def keep(self, signature: Signature, public_key: str) -> None:
        key = {"id": signature.key_id, "public_key": public_key, "since": signature.signed_at}
        self._connection.execute(insert(signing_keys).values(key).on_conflict_do_nothing())
        row = {**vars(signature), "bundle": plain(signature.bundle)}
        self._connection.execute(insert(signatures).values(row).on_conflict_do_nothing())

    def of(self, digest: str, key_id: str) -> Signature:
        found = [signature for signature in self.all(digest) if key_id in ("", signature.key_id)]
        if not found:
            raise no_signature(key_id, digest)
        return found[0]

    def all(self, digest: str) -> Sequence[Signature]:
        query = sa.select(signatures).where(signatures.c.digest == digest)
        rows = self._connection.execute(query.order_by(signatures.c.signed_at.desc(), signatures.c.key_id))
        return [Signature(**row._mapping) for row in rows]

    def unsigned(self, limit: int, after: str) -> Sequence[str]:
        in_order = t.manifests.c.digest.collate("C")
        signed = sa.exists().where(signatures.c.digest == t.manifests.c.digest)
        query = sa.select(t.manifests.c.digest).where(in_order > after, ~signed).order_by(in_order).limit(limit)
        return self._connection.scalars(query).all()

    def keys(self) -> Sequence[SigningKey]:
        query = sa.select(signing_keys).order_by(signing_keys.c.since.desc(), signing_keys.c.id)
        return [SigningKey(**row._mapping) for row in self._connection.execute(query)]
