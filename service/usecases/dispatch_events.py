"""Hand events on: a delivery for each webhook that wants one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from service.domain.event import TEST_EVENT, Event
from service.domain.webhook import Delivery, Webhook
from service.usecases.ports import Clock, RegistryStore, Transaction

BATCH = 500


def dispatch_events(store: RegistryStore, clock: Clock) -> int:
    """Hand on everything that was published; answers with the number of deliveries made.

    Safe to end anywhere and to run twice at once: an event is handed on in one transaction.
    """
    made = 0
    while True:
        with store.transaction() as tx:
            events = tx.events.waiting(BATCH)
            deliveries = list(_deliveries(events, tx.webhooks.list() if events else (), clock()))
            add_deliveries(tx, deliveries)
            tx.events.handed_on([event.id for event in events])
        made += len(deliveries)
        if len(events) < BATCH:
            return made


def _deliveries(events: Sequence[Event], webhooks: Sequence[Webhook], now: datetime) -> Iterator[Delivery]:
    for event in events:
        for webhook in webhooks:
            if webhook.wants(event):
                yield new_delivery(webhook, event, now)


def new_delivery(webhook: Webhook, event: Event, now: datetime) -> Delivery:
    return Delivery(
        id=str(uuid.uuid4()),
        webhook_id=webhook.id,
        event_id=event.id,
        event_type=event.type,
        created_at=now,
        since=now,
        next_at=now,
    )


def add_deliveries(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    tx.deliveries.add(deliveries)
    for webhook_id in dict.fromkeys(delivery.webhook_id for delivery in deliveries):
        tx.deliveries.wake(webhook_id)


def trial_event(webhook: Webhook, now: datetime) -> Event:
    """What `POST /v1/webhooks/<id>/test` sends; nobody else gets it."""
    return Event(TEST_EVENT, now, webhook.environment, data={"webhook": webhook.id})
