"""A browser's session: a cookie that names a token by its id, and itself, sealed with the operator's keys.

It holds no scopes and no secret. The token is looked up with each request, so that a session ends with it at once.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

from service.api.own_pages import origin_of
from service.domain.errors import NotConfigured
from service.domain.identity import Session
from service.settings import Settings
from service.webhooks.vault import SETTING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

HOUR = 3600
PURPOSE = b"model-registry: a browser's session"


@dataclass(frozen=True)
class Sessions:
    """`keys` are the operator's; `public_url` is where browsers find the registry."""

    keys: tuple[str, ...] = field(repr=False)
    seconds: int
    public_url: str

    @classmethod
    def of(cls, settings: Settings) -> Sessions:
        return cls(settings.webhooks.keys, settings.session_hours * HOUR, settings.public_url)

    @property
    def prefix(self) -> str:
        """The path of the public URL, without a slash at its end."""
        return urlsplit(self.public_url).path.rstrip("/")

    @cached_property
    def origin(self) -> str:
        """The public URL's origin as browsers write it."""
        return origin_of(self.public_url)

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https:")

    @property
    def cookie(self) -> str:
        """The cookie's name, with the strongest of the prefixes by which browsers hold its sender to its attributes."""
        strength = "" if not self.secure else "__Secure-" if self.prefix else "__Host-"
        return f"{strength}model-registry-session"

    def require_keys(self) -> None:
        """Raises NotConfigured without a key."""
        if not self.keys:
            raise NotConfigured(
                f"Signing in needs a key that sessions are sealed with: the operator has to set {SETTING}. "
                "Clients that send a token go on working.",
                setting=SETTING,
            )

    def seal(self, token_id: str, now: datetime) -> str:
        """The cookie's value. Raises NotConfigured without a key."""
        self.require_keys()
        named = f"{token_id} {secrets.token_hex(16)}"
        return self._fernet.encrypt_at_time(named.encode(), int(now.timestamp())).decode("ascii")

    def open(self, value: str, now: datetime) -> Session | None:
        """None for what was not sealed here, or too long ago."""
        from cryptography.fernet import InvalidToken

        if not self.keys:
            return None
        try:
            sealed = value.encode("ascii", "replace")
            named = self._fernet.decrypt_at_time(sealed, self.seconds, int(now.timestamp())).decode()
        except InvalidToken:
            return None
        token_id, _, session_id = named.partition(" ")
        return Session(token_id, session_id)

    def give(self, response: Response, value: str) -> None:
        """Lax: links to a run from elsewhere open, since reading changes nothing; what changes something needs proof
        of its own (`service.hosting.browsers`)."""
        path = f"{self.prefix}/"
        response.set_cookie(
            self.cookie, value, self.seconds, path=path, secure=self.secure, httponly=True, samesite="Lax"
        )

    def take(self, response: Response) -> None:
        path = f"{self.prefix}/"
        response.delete_cookie(self.cookie, path=path, secure=self.secure, httponly=True, samesite="Lax")

    @cached_property
    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet  # with the first session: most processes need none

        return MultiFernet([Fernet(_for_sessions(key)) for key in self.keys])


def _for_sessions(key: str) -> bytes:
    """A key of its own, so that nothing else sealed with the operator's key can pass for a session."""
    return base64.urlsafe_b64encode(hmac.digest(base64.urlsafe_b64decode(key), PURPOSE, "sha256"))
