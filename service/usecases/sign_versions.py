"""Sign the bytes of versions: with their registration, or later those that nobody has signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from service.domain.errors import NotFound
from service.domain.model import Manifest
from service.domain.signature import Signature, bundle, encoded, statement
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.signing_ports import Signer

DIGESTS = 100


def sign(tx: Transaction, signer: Signer | None, manifest: Manifest, at: datetime) -> None:
    """Sign in the transaction that registers the bytes; without a signer nothing happens."""
    if signer is None:
        return
    payload = statement(manifest)
    made = bundle(payload, signer.key_id, signer.sign(encoded(payload)))
    tx.signatures.keep(Signature(manifest.digest, signer.key_id, made, at), signer.public_key)


def sign_missing(store: RegistryStore, signer: Signer, clock: Clock) -> Iterator[str]:
    """Sign every digest that has no signature yet; yields each when it is signed."""
    after = ""
    while True:
        with store.transaction() as tx:
            found = tx.signatures.unsigned(DIGESTS, after)
        for digest in found:
            try:
                with store.transaction() as tx:
                    sign(tx, signer, tx.models.manifest(digest), clock())
            except NotFound:
                continue  # it was collected meanwhile
            yield digest
        if not found:
            return
        after = found[-1]


def bundles(store: RegistryStore, digest: str) -> list[dict[str, Any]]:
    """Of each key that has signed the digest, the newest first."""
    with store.transaction() as tx:
        return [dict(signature.bundle) for signature in tx.signatures.all(digest)]
