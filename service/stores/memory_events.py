"""Events, webhooks and deliveries in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.errors import Conflict, NotFound
from service.domain.event import Event
from service.domain.refusals import CHANGED_AT_ONCE
from service.domain.webhook import Attempt, Delivery, DeliveryState, Webhook
from service.stores.memory_places import MemoryEnvironments
from service.stores.memory_state import HeldEvent, State
from service.stores.plain import plain
from service.stores.queue import DELIVER_TASK, HAND_ON_TASK


class MemoryEvents:
    def __init__(self, state: State) -> None:
        self._state = state
        self._published: list[HeldEvent] = []

    def publish(self, event: Event, *, handed_on: bool = False) -> None:
        held = HeldEvent(replace(event, data=plain(event.data)), handed_on)
        if handed_on:
            self._keep(held)
        else:
            self._published.append(held)

    def flush(self) -> None:
        """To be called at the end of the transaction."""
        for held in self._published:
            self._keep(held)
        if self._published:
            self._state.queue(HAND_ON_TASK)
            self._published = []

    def _keep(self, held: HeldEvent) -> None:
        if held.event.id in self._state.events:
            raise Conflict(CHANGED_AT_ONCE)
        self._state.events[held.event.id] = held

    def get(self, event_id: str) -> Event:
        if event_id not in self._state.events:
            raise NotFound("event", event_id)
        return self._state.events[event_id].event

    def waiting(self, limit: int) -> Sequence[Event]:
        return [held.event for held in self._state.events.values() if not held.handed_on][:limit]

    def handed_on(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            self._state.events[event_id] = replace(self._state.events[event_id], handed_on=True)

    def purge(self, before: datetime) -> int:
        old = [held.event.id for held in self._state.events.values() if held.handed_on and held.event.at < before]
        for event_id in old:
            del self._state.events[event_id]
        for delivery in [item for item in self._state.deliveries.values() if item.event_id in old]:
            del self._state.deliveries[delivery.id]
        return len(old)


class MemoryWebhooks:
    def __init__(self, state: State, environments: MemoryEnvironments) -> None:
        self._state = state
        self._environments = environments

    def add(self, webhook: Webhook) -> None:
        if webhook.environment:
            self._environments.get(webhook.environment)
        self._state.webhooks[webhook.id] = webhook

    def get(self, webhook_id: str, *, for_change: bool = False) -> Webhook:
        if webhook_id not in self._state.webhooks:
            raise NotFound("webhook", webhook_id)
        return self._state.webhooks[webhook_id]

    def list(self) -> Sequence[Webhook]:
        return sorted(self._state.webhooks.values(), key=lambda webhook: (webhook.created_at, webhook.id))

    def replace(self, webhook: Webhook) -> None:
        known = self._state.webhooks.get(webhook.id)
        if known is not None:
            self._state.webhooks[webhook.id] = replace(
                webhook, environment=known.environment, created_by=known.created_by, created_at=known.created_at
            )

    def delete(self, webhook_id: str) -> None:
        self.get(webhook_id)
        self._state.remove_webhook(webhook_id)


class MemoryDeliveries:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, deliveries: Sequence[Delivery]) -> None:
        known = {(item.webhook_id, item.event_id) for item in self._state.deliveries.values()}
        for delivery in deliveries:
            if (delivery.webhook_id, delivery.event_id) not in known:
                self._state.deliveries[delivery.id] = delivery

    def wake(self, webhook_id: str) -> None:
        self._state.queue(DELIVER_TASK, webhook_id)

    def due(self, webhook_id: str, now: datetime) -> Delivery | None:
        found = [item for item in self._due(now) if item.webhook_id == webhook_id]
        published = {event_id: place for place, event_id in enumerate(self._state.events)}
        first = min(found, key=lambda item: (item.next_at, published[item.event_id]), default=None)
        return None if first is None else replace(first, attempts=())

    def overdue(self, now: datetime) -> Sequence[str]:
        busy = {subject for task, subject in self._state.jobs.values() if task == DELIVER_TASK}
        return list(dict.fromkeys(item.webhook_id for item in self._due(now) if item.webhook_id not in busy))

    def _due(self, now: datetime) -> Sequence[Delivery]:
        return [
            item
            for item in self._state.deliveries.values()
            if item.state is DeliveryState.PENDING
            and item.next_at is not None
            and item.next_at <= now
            and self._state.webhooks[item.webhook_id].enabled
        ]

    def get(self, delivery_id: str, *, for_change: bool = False) -> Delivery:
        if delivery_id not in self._state.deliveries:
            raise NotFound("delivery", delivery_id)
        return self._state.deliveries[delivery_id]

    def list(self, webhook_id: str, limit: int, before: str | None) -> Sequence[Delivery]:
        found = [item for item in self._state.deliveries.values() if item.webhook_id == webhook_id]
        if before is not None:
            last = _place(self.get(before))
            found = [item for item in found if _place(item) < last]
        return sorted(found, key=_place, reverse=True)[:limit]

    def replace(self, delivery: Delivery) -> None:
        known = self._state.deliveries.get(delivery.id)
        if known is not None:
            self._state.deliveries[delivery.id] = replace(
                known,
                since=delivery.since,
                next_at=delivery.next_at,
                state=delivery.state,
                tries=delivery.tries,
                finished_at=delivery.finished_at,
            )

    def log(self, delivery_id: str, attempt: Attempt) -> None:
        known = self._state.deliveries[delivery_id]
        logged = replace(attempt, number=len(known.attempts) + 1)
        self._state.deliveries[delivery_id] = replace(known, attempts=(*known.attempts, logged))


def _place(delivery: Delivery) -> tuple[datetime, str]:
    return delivery.created_at, delivery.id
