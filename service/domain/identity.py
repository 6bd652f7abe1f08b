"""Who asks, and what they may do."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from service.domain.errors import InvalidInput, NotAllowed

TOKEN_PREFIX = "mreg_"  # noqa: S105 - what every token begins with, so that scanners find leaked ones
_SCOPE = re.compile(
    r"(admin|audit|browse|track)|(import|read|promote|approve|webhook):(\*|[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?)"
)


@dataclass(frozen=True)
class Scope:
    """One permission. `subject` is a workspace for `import`, an environment for the others.

    `admin`, `audit`, `browse` and `track` have no subject; `admin` includes every other scope, `audit` reads the audit
    trail, `browse` reads everything in the hosted MLflow registry, and `track`, which includes it, logs there. The
    subject `*` means each of its kind.
    """

    action: str
    subject: str = ""

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Raises InvalidInput for what is no scope: see `_SCOPE`."""
        match = _SCOPE.fullmatch(text)
        if not match:
            raise InvalidInput(
                f"{text[:80]!r} is not a scope: use admin, audit, browse, track, import:<workspace>, or read:, "
                "promote:, approve: or webhook:<environment>.",
                field="scopes",
            )
        return cls(match[1] or match[2], match[3] or "")

    def __str__(self) -> str:
        return f"{self.action}:{self.subject}" if self.subject else self.action

    def includes(self, other: Scope) -> bool:
        if self.action == "admin" or (self, other) == (TRACK, BROWSE):
            return True
        return self.action == other.action and self.subject in ("*", other.subject)


ADMIN = Scope("admin")
AUDIT = Scope("audit")
BROWSE = Scope("browse")
TRACK = Scope("track")


@dataclass(frozen=True)
class Principal:
    """An authenticated caller: the token's id and name, what it may do, and the id of the request it sent."""

    token_id: str
    name: str
    scopes: tuple[Scope, ...]
    request_id: str = ""

    def may(self, scope: Scope) -> bool:
        return any(own.includes(scope) for own in self.scopes)

    def subjects(self, action: str) -> frozenset[str]:
        """The workspaces or environments named by this principal's scopes of `action`."""
        return frozenset(scope.subject for scope in self.scopes if scope.action == action)

    def require(self, *any_of: Scope) -> None:
        """Raises NotAllowed unless one of the scopes is held."""
        if not any(self.may(scope) for scope in any_of):
            needed = " or ".join(str(scope) for scope in any_of)
            raise NotAllowed(f"The token {self.name!r} does not hold the scope {needed}.", needed=needed)


OPERATOR = Principal("", "operator", (ADMIN,))
"""Someone with a shell on the service's own settings."""


SERVICE = Principal("", "service", ())
"""The service itself, when it clears up after its clients."""


@dataclass(frozen=True)
class Token:
    """A token as stored: the secret itself is shown once at creation and kept only as SHA-256."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        return Principal(self.id, self.name, self.scopes)


@dataclass(frozen=True)
class Session:
    """Of a browser, which stands for the token."""

    token_id: str
    id: str


def secret_hash(secret: str) -> bytes:
    """SHA-256 of a token's secret; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
