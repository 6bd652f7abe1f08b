"""What events and webhooks need from the outside, as protocols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.domain.event import Event
from service.domain.webhook import Attempt, Delivery, Webhook


class Events(Protocol):
    """The outbox: an event is kept, and a job queued that hands it on, in the transaction of what it tells."""

    def publish(self, event: Event, *, handed_on: bool = False) -> None:
        """Keep the event and queue its handing on when this transaction commits; neither, when it does not.

        `handed_on` says that the caller has made its deliveries.
        """
        ...

    def get(self, event_id: str) -> Event:
        """Raises NotFound(kind="event")."""
        ...

    def waiting(self, limit: int) -> Sequence[Event]:
        """Those not yet handed on, in the order of publishing; each is given to one transaction at a time."""
        ...

    def handed_on(self, event_ids: Sequence[str]) -> None: ...

    def purge(self, before: datetime) -> int:
        """Remove events handed on and older than that, with their deliveries; how many there were."""
        ...


class Webhooks(Protocol):
    def add(self, webhook: Webhook) -> None:
        """Raises NotFound(kind="environment")."""
        ...

    def get(self, webhook_id: str, *, for_change: bool = False) -> Webhook:
        """`for_change` makes others who ask so wait until this transaction ends. Raises NotFound(kind="webhook")."""
        ...

    def list(self) -> Sequence[Webhook]:
        """In the order of creation."""
        ...

    def replace(self, webhook: Webhook) -> None:
        """Write all but id, environment and who created it when. One that is not there stays absent."""
        ...

    def delete(self, webhook_id: str) -> None:
        """With its deliveries. Raises NotFound(kind="webhook")."""
        ...


class Deliveries(Protocol):
    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them; an event that the webhook has already is left out."""
        ...

    def wake(self, webhook_id: str) -> None:
        """Queue a job that sends what is due for the webhook; one at a time runs for each."""
        ...

    def due(self, webhook_id: str, now: datetime) -> Delivery | None:
        """The pending one that is due longest, among equals the one published first; without its attempts.

        None while the webhook is disabled.
        """
        ...

    def overdue(self, now: datetime) -> Sequence[str]:
        """Ids of enabled webhooks for which something is due, and no job is queued or at work."""
        ...

    def get(self, delivery_id: str, *, for_change: bool = False) -> Delivery:
        """Raises NotFound(kind="delivery")."""
        ...

    def list(self, webhook_id: str, limit: int, before: str | None) -> Sequence[Delivery]:
        """With their attempts, newest first; `before` is the id to go on after."""
        ...

    def replace(self, delivery: Delivery) -> None:
        """Write all but id, webhook, event and attempts. One that is not there stays absent."""
        ...

    def log(self, delivery_id: str, attempt: Attempt) -> None:
        """Keep an attempt; its number is one more than the last one's, whatever it says."""
        ...


@dataclass(frozen=True)
class Message:
    """What is sent: the body as it is, signed with each of `secrets` (`whsec_…`)."""

    id: str
    at: datetime
    body: bytes
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """`status` None: there was none, for the reason `error`. `body` is cut; `retry_after` is seconds, if asked for."""

    status: int | None
    body: str = ""
    error: str = ""
    retry_after: int | None = None


class WebhookSender(Protocol):
    def check(self, url: str) -> None:
        """Look the host up. Raises InvalidInput for a URL that may not be sent to."""
        ...

    def send(self, url: str, message: Message) -> Answer:
        """POST once, to an address that was checked; whatever goes wrong is in the answer."""
        ...


class Vault(Protocol):
    """Secrets that have to be read again, sealed with the operator's keys."""

    def seal(self, secret: str) -> bytes:
        """Raises NotConfigured without a key."""
        ...

    def open(self, sealed: bytes) -> str:
        """Raises NotConfigured when none of the keys fits."""
        ...

    def resealed(self, sealed: bytes) -> bytes | None:
        """The same secret under the first key; None when it is already, or no key fits."""
        ...


@dataclass(frozen=True)
class WebhookParts:
    """What webhooks need beside the store."""

    sender: WebhookSender
    vault: Vault
