"""Deliveries as their webhook's managers see them: look, send again, try it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.domain.errors import Conflict, NotFound
from service.domain.identity import Principal
from service.domain.webhook import Delivery, DeliveryState, Webhook
from service.usecases.dispatch_events import add_deliveries, new_delivery, trial_event
from service.usecases.manage_webhooks import own_webhook, record_webhook
from service.usecases.ports import Clock, RegistryStore, Transaction


def list_deliveries(
    store: RegistryStore, by: Principal, webhook_id: str, limit: int, before: str | None
) -> Sequence[Delivery]:
    """Newest first. Raises NotFound(kind="webhook"), or kind="delivery" for `before`."""
    with store.transaction() as tx:
        own_webhook(tx, by, webhook_id)
        return tx.deliveries.list(webhook_id, limit, before)


def get_delivery(store: RegistryStore, by: Principal, webhook_id: str, delivery_id: str) -> Delivery:
    """Raises NotFound(kind="webhook") or NotFound(kind="delivery")."""
    with store.transaction() as tx:
        own_webhook(tx, by, webhook_id)
        return _own_delivery(tx, webhook_id, delivery_id)


def redeliver(store: RegistryStore, clock: Clock, by: Principal, webhook_id: str, delivery_id: str) -> Delivery:
    """Send it again now, whatever came of it, and try as often as the first time.

    Raises NotFound for the webhook or delivery, Conflict while the webhook is disabled.
    """
    now = clock()
    with store.transaction() as tx:
        webhook = own_webhook(tx, by, webhook_id)
        _require_enabled(webhook)
        known = _own_delivery(tx, webhook_id, delivery_id, for_change=True)
        again = replace(known, state=DeliveryState.PENDING, since=now, next_at=now, tries=0, finished_at=None)
        tx.deliveries.replace(again)
        tx.deliveries.wake(webhook_id)
        record_webhook(tx, "redelivered", by, webhook, now, after={"delivery": again.id, "event": again.event_id})
    return again


def send_test(store: RegistryStore, clock: Clock, by: Principal, webhook_id: str) -> Delivery:
    """Send an event `webhook.test` to this webhook alone. Raises NotFound, Conflict while it is disabled."""
    now = clock()
    with store.transaction() as tx:
        webhook = own_webhook(tx, by, webhook_id)
        _require_enabled(webhook)
        event = trial_event(webhook, now)
        tx.events.publish(event, handed_on=True)
        delivery = new_delivery(webhook, event, now)
        add_deliveries(tx, [delivery])
        record_webhook(tx, "tested", by, webhook, now, after={"delivery": delivery.id})
    return delivery


def _own_delivery(tx: Transaction, webhook_id: str, delivery_id: str, *, for_change: bool = False) -> Delivery:
    delivery = tx.deliveries.get(delivery_id, for_change=for_change)
    if delivery.webhook_id != webhook_id:
        raise NotFound("delivery", delivery_id)
    return delivery


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise Conflict("The webhook is disabled; enable it first.", webhook=webhook.id)
