"""What is known of the stored bytes of a digest besides its manifest; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Damage:
    """`path` within the model, `reason` a sentence for people, `at` when it was seen first."""

    digest: str
    path: str
    reason: str
    at: datetime


class Damages(Protocol):
    """Files of which the object in the bucket was seen to be missing or another one."""

    def mark(self, digest: str, path: str, reason: str, at: datetime) -> bool:
        """False when that file is marked already, or there is no such digest any more."""
        ...

    def of(self, digest: str) -> Sequence[Damage]:
        """By path."""
        ...

    def clear(self, digest: str, before: datetime, but: Collection[str] = ()) -> bool:
        """Take marks of before that time away `but` those of these paths; whether there was one to take away."""
        ...


class Tars(Protocol):
    """The SHA-256 of the tar of each digest of which the whole tar has been made once."""

    def sha256(self, digest: str) -> str:
        """Lower-case hex; '' when it is not known yet."""
        ...

    def keep(self, digest: str, sha256: str) -> None:
        """Nothing happens when there is no such digest any more."""
        ...
