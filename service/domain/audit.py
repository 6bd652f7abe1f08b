"""The audit trail: who changed what, when, as rows that are chained by their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.domain.identity import Principal

GENESIS = "0" * 64
"""What the first row names as the hash before it."""


@dataclass(frozen=True)
class Change:
    """Something that was done, to be recorded in the transaction that does it.

    `action` is `<noun>.<past participle>`; `subject` names what was changed when that is none of workspace,
    environment and model: a stage, a token's id, an import's id. `before` and `after` are plain JSON, never a secret.
    """

    action: str
    actor: Principal
    workspace: str = ""
    environment: str = ""
    model: str = ""
    subject: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class AuditRow:
    """A recorded change. `seq` counts from 1 without gaps; `previous` is the hash of the row before, lower-case hex."""

    seq: int
    at: datetime
    action: str
    actor_id: str
    actor: str
    workspace: str
    environment: str
    model: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str
    previous: str
    hash: str = ""

    def document(self) -> dict[str, Any]:
        """Everything but the hash, in plain JSON."""
        shown = {name: value for name, value in vars(self).items() if name != "hash"}
        return {**shown, "at": time_text(self.at)}

    def line(self) -> bytes:
        """The row as one line of an export: canonical JSON, with the hash."""
        return canonical({**self.document(), "hash": self.hash}) + b"\n"

    def computed_hash(self) -> str:
        """SHA-256 of the canonical JSON of `document()`."""
        return hashlib.sha256(canonical(self.document())).hexdigest()


@dataclass(frozen=True)
class AuditQuery:
    """Which rows are wanted; empty means any.

    Args:
        actor: the id or the name of a token.
        action: what the action begins with.
        since, until: from the first on, and before the second.
    """

    actor: str = ""
    action: str = ""
    workspace: str = ""
    environment: str = ""
    model: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, row: AuditRow) -> bool:
        return (
            (not self.actor or self.actor in (row.actor_id, row.actor))
            and row.action.startswith(self.action)
            and (not self.workspace or self.workspace == row.workspace)
            and (not self.environment or self.environment == row.environment)
            and (not self.model or self.model == row.model)
            and (self.since is None or row.at >= self.since)
            and (self.until is None or row.at < self.until)
        )


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one JSON text of a document: keys sorted, no spaces, UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def time_text(at: datetime) -> str:
    """UTC with microseconds, like 2026-03-01T12:00:00.000000Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
