"""Secrets that have to be read again, sealed with Fernet under keys that the operator rotates."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from service.domain.errors import NotConfigured

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SETTING = "MODEL_REGISTRY_SECRET_KEY"


class FernetVault:
    """Implements `service.usecases.event_ports.Vault`. The first key seals, all of them open."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys

    @cached_property
    def _fernets(self) -> tuple[Fernet, ...]:
        from cryptography.fernet import Fernet  # with the first webhook: most processes need none

        return tuple(Fernet(key) for key in self._keys)

    def seal(self, secret: str) -> bytes:
        if not self._fernets:
            raise NotConfigured(
                f"Webhooks need a key that their secrets are sealed with: the operator has to set {SETTING}.",
                setting=SETTING,
            )
        return self._fernets[0].encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        for fernet in self._fernets:
            secret = _opened(fernet, sealed)
            if secret is not None:
                return secret
        raise NotConfigured(f"The webhook's secret was sealed with a key that {SETTING} lacks.", setting=SETTING)

    def resealed(self, sealed: bytes) -> bytes | None:
        if not self._fernets or _opened(self._fernets[0], sealed) is not None:
            return None
        try:
            return self.seal(self.open(sealed))
        except NotConfigured:
            return None


def _opened(fernet: Fernet, sealed: bytes) -> str | None:
    from cryptography.fernet import InvalidToken

    try:
        return fernet.decrypt(sealed).decode()
    except InvalidToken:
        return None
