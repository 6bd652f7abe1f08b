"""What signing versions needs; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.domain.signature import Signature, SigningKey


class Signer(Protocol):
    """The operator's private key."""

    @property
    def key_id(self) -> str: ...

    @property
    def public_key(self) -> str:
        """PEM."""
        ...

    def sign(self, data: bytes) -> bytes: ...


class Signatures(Protocol):
    def keep(self, signature: Signature, public_key: str) -> None:
        """Nothing happens when the key has signed the digest already. Its public key is kept for good."""
        ...

    def of(self, digest: str, key_id: str) -> Signature:
        """The last one, or the one by that key. Raises NotFound(kind="signature")."""
        ...

    def all(self, digest: str) -> Sequence[Signature]:
        """One of each key, the newest first."""
        ...

    def unsigned(self, limit: int, after: str) -> Sequence[str]:
        """Digests that nobody has signed, in order from behind `after`."""
        ...

    def keys(self) -> Sequence[SigningKey]:
        """Every key that has ever signed, the newest first; `since` is its first signature."""
        ...
