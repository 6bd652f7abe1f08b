"""Signatures in memory."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.refusals import no_signature
from service.domain.signature import Signature, SigningKey
from service.stores.memory_state import State


class MemorySignatures:
    def __init__(self, state: State) -> None:
        self._state = state

    def keep(self, signature: Signature, public_key: str) -> None:
        key = SigningKey(signature.key_id, public_key, signature.signed_at)
        self._state.signing_keys.setdefault(key.id, key)
        self._state.signatures.setdefault((signature.digest, signature.key_id), signature)

    def of(self, digest: str, key_id: str) -> Signature:
        found = [signature for signature in self.all(digest) if key_id in ("", signature.key_id)]
        if not found:
            raise no_signature(key_id, digest)
        return found[0]

    def all(self, digest: str) -> Sequence[Signature]:
        if digest not in self._state.manifests:
            return []
        found = [signature for (of, _), signature in sorted(self._state.signatures.items()) if of == digest]
        return sorted(found, key=lambda signature: signature.signed_at, reverse=True)

    def unsigned(self, limit: int, after: str) -> Sequence[str]:
        signed = {digest for digest, _ in self._state.signatures}
        return sorted(digest for digest in self._state.manifests if digest > after and digest not in signed)[:limit]

    def keys(self) -> Sequence[SigningKey]:
        by_id = sorted(self._state.signing_keys.values(), key=lambda key: key.id)
        return sorted(by_id, key=lambda key: key.since, reverse=True)
