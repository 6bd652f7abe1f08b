"""Send what is due for a webhook, one after the other, and remember what came of it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from service.domain.errors import NotConfigured, NotFound
from service.domain.event import Event
from service.domain.identity import Principal
from service.domain.webhook import (
    DISABLE_AFTER,
    GONE,
    LONGEST_DELAY,
    TRY_FOR,
    Attempt,
    Delivery,
    DeliveryState,
    Webhook,
    delay,
)
from service.usecases.event_ports import Answer, Message, WebhookParts
from service.usecases.manage_webhooks import record_webhook
from service.usecases.ports import Clock, RegistryStore

WORKER = Principal("", "worker", ())
log = logging.getLogger(__name__)
TURN = 5.0
"""Seconds after which other webhooks get their turn."""


def _spread() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, hides nothing


@dataclass(frozen=True)
class Deliverer:
    """At least once: the attempt is written after the answer, so an end in between makes it happen again."""

    store: RegistryStore
    parts: WebhookParts
    clock: Clock
    delay: Callable[[int, float], timedelta] = delay
    spread: Callable[[], float] = _spread

    def run(self, webhook_id: str) -> int:
        """Send until nothing is due or the turn is over, and then queue the next turn; how many were sent.

        One call at a time for each webhook keeps its events in order, as long as none of them fails.
        """
        until = time.monotonic() + TURN
        sent = 0
        while (found := self._next(webhook_id)) is not None:
            if time.monotonic() > until:
                with self.store.transaction() as tx:
                    tx.deliveries.wake(webhook_id)
                break
            self._deliver(*found)
            sent += 1
        return sent

    def _next(self, webhook_id: str) -> tuple[Webhook, Delivery, Event] | None:
        with self.store.transaction() as tx:
            delivery = tx.deliveries.due(webhook_id, self.clock())
            if delivery is None:
                return None
            return tx.webhooks.get(webhook_id), delivery, tx.events.get(delivery.event_id)

    def _deliver(self, webhook: Webhook, delivery: Delivery, event: Event) -> None:
        at = self.clock()
        began = time.monotonic()
        try:
            secrets = tuple(self.parts.vault.open(sealed) for sealed in webhook.secrets(at))
        except NotConfigured as error:
            answer = Answer(None, error=error.detail)
        else:
            answer = self.parts.sender.send(webhook.url, Message(event.id, at, event.document(), secrets))
        latency = round((time.monotonic() - began) * 1000)
        attempt = Attempt(0, at, latency, answer.status, answer.error, answer.body)
        with self.store.transaction() as tx:
            try:
                hook = tx.webhooks.get(webhook.id, for_change=True)
                known = tx.deliveries.get(delivery.id, for_change=True)
            except NotFound:  # it was removed meanwhile, and whatever was to be remembered with it
                return
            tx.deliveries.log(known.id, attempt)
            tx.deliveries.replace(self._after(known, attempt, answer))
            judged = self._judged(hook, attempt)
            tx.webhooks.replace(judged)
            if hook.enabled and not judged.enabled:
                log.warning("webhook disabled", extra={"webhook_id": hook.id, "reason": judged.disabled_reason})
                record_webhook(tx, "disabled", WORKER, hook, at, after={"reason": judged.disabled_reason})

    def _after(self, delivery: Delivery, attempt: Attempt, answer: Answer) -> Delivery:
        now = self.clock()
        tries = delivery.tries + 1
        if attempt.delivered:
            return replace(delivery, state=DeliveryState.DELIVERED, tries=tries, next_at=None, finished_at=now)
        wait = self.delay(tries, self.spread())
        if answer.retry_after is not None:
            wait = min(max(wait, timedelta(seconds=answer.retry_after)), LONGEST_DELAY)
        if answer.status == GONE or now + wait > delivery.since + TRY_FOR:
            return replace(delivery, state=DeliveryState.FAILED, tries=tries, next_at=None, finished_at=now)
        return replace(delivery, tries=tries, next_at=now + wait)

    def _judged(self, webhook: Webhook, attempt: Attempt) -> Webhook:
        """Disabled when its receiver says that it is gone, or has failed for days without a success."""
        if attempt.delivered:
            return replace(webhook, failing_since=None)
        since = webhook.failing_since or attempt.at
        if attempt.status == GONE:
            reason = "The receiver answered 410 Gone."
        elif attempt.at - since >= DISABLE_AFTER:
            reason = f"Every delivery failed for {DISABLE_AFTER.days} days."
        else:
            return replace(webhook, failing_since=since)
        return replace(webhook, failing_since=since, enabled=False, disabled_reason=reason)
