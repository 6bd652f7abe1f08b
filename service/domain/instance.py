"""What is actually served: pullers say what they run of a stage, and how long that may be believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.domain.environment import Place
from service.domain.errors import InvalidInput

_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,126}[A-Za-z0-9])?")
ID_PATTERN = f"^{_ID.pattern}$"


class Drift(StrEnum):
    """How an instance compares with the stage.

    `unknown`: no version of the model has such bytes. `expired`: it has not said anything for its whole lease.
    """

    IN_STEP = "in-step"
    BEHIND = "behind"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Instance:
    """One process that serves a stage, as it says itself.

    `id` is its own name in the place. `since` is when it first said this digest, `lease_end` until when it counts
    unless it says so again. `version` is the model's highest one with these bytes, None when there is none.
    """

    place: Place
    id: str
    digest: str
    since: datetime
    reported_at: datetime
    lease_end: datetime
    reported_by: str
    version: int | None = None

    def drift(self, current: str | None, now: datetime) -> Drift:
        """`current` is the digest that the stage hands out, None when it is empty."""
        return drift(self.digest, self.version, current, expired=self.lease_end <= now)


def drift(digest: str, version: int | None, current: str | None, *, expired: bool) -> Drift:
    if expired:
        return Drift.EXPIRED
    if digest == current:
        return Drift.IN_STEP
    return Drift.UNKNOWN if version is None else Drift.BEHIND


def check_instance_id(name: str) -> str:
    """1 to 128 letters, digits, `.`, `_`, `:`, `-`, beginning and ending with a letter or digit.

    Raises:
        InvalidInput: naming the field `instance`.
    """
    if not _ID.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be the id of an instance: use 1 to 128 letters, digits, '.', '_', ':', '-', "
            "beginning and ending with a letter or digit.",
            field="instance",
        )
    return name
