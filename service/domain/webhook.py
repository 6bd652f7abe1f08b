"""Webhooks: who hears of events, and what became of each delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.event import Event

FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(hours=12)
TRY_FOR = timedelta(days=3)
DISABLE_AFTER = timedelta(days=5)
GONE = 410
ANSWER_BYTES = 1024


@dataclass(frozen=True)
class Webhook:
    """Where events go. `environment` never changes; without one, an admin's webhook hears of everything.

    `events` and `model` narrow it down when not empty. Secrets are sealed; `previous` still signs until
    `previous_until`. `failing_since` is the first failure after the last success.
    """

    id: str
    url: str
    environment: str
    events: tuple[str, ...]
    model: str
    description: str
    enabled: bool
    created_by: str
    created_at: datetime
    secret: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    failing_since: datetime | None = None
    disabled_reason: str = ""

    def wants(self, event: Event) -> bool:
        """One bound to an environment gets events of that environment only."""
        return (
            self.enabled
            and self.environment in ("", event.environment)
            and (not self.events or event.type in self.events)
            and self.model in ("", event.model)
        )

    def secrets(self, now: datetime) -> tuple[bytes, ...]:
        """The sealed secrets that sign now, the current one first."""
        if self.previous is None or self.previous_until is None or self.previous_until <= now:
            return (self.secret,)
        return (self.secret, self.previous)


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """One request: `status` None when there was no answer, and `error` says why. `answer` is cut to ANSWER_BYTES."""

    number: int
    at: datetime
    latency_ms: int
    status: int | None = None
    error: str = ""
    answer: str = ""

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Delivery:
    """An event on its way to a webhook. `since` and `tries` begin anew when it is to be delivered again."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    created_at: datetime
    since: datetime
    next_at: datetime | None
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    finished_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()


def delay(tries: int, spread: float) -> timedelta:
    """How long to wait after so many tries: four times longer each, up to LONGEST_DELAY.

    `spread` (about 1) is a factor by which those that failed together come back one by one.
    """
    longer = FIRST_DELAY * (1 << min(2 * (tries - 1), 20))
    return min(longer, LONGEST_DELAY) * spread
