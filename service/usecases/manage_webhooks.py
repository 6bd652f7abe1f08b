"""Make, change and remove webhooks; give one a new secret."""

from __future__ import annotations

import base64
import binascii
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from service.domain.audit import Change
from service.domain.errors import Conflict, InvalidInput, NotFound
from service.domain.event import EVENT_TYPES
from service.domain.identity import ADMIN, Principal, Scope
from service.domain.webhook import Webhook
from service.usecases.event_ports import WebhookParts
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, as Standard Webhooks has it
SECRET_BYTES = (24, 64)
MAX_OVERLAP_HOURS = 7 * 24
MAX_WEBHOOKS = 100
"""Of an environment, and of those without one: each event becomes a delivery, and a job, for each of them."""


@dataclass(frozen=True)
class WebhookFields:
    """What a caller decides and may change; `events` and `model` narrow down when not empty."""

    url: str
    events: tuple[str, ...] = ()
    model: str = ""
    description: str = ""
    enabled: bool = True


def create_webhook(
    store: RegistryStore,
    parts: WebhookParts,
    clock: Clock,
    by: Principal,
    environment: str,
    fields: WebhookFields,
    secret: str | None,
) -> tuple[Webhook, str]:
    """Answers with the webhook and its secret, which is made up unless given.

    Raises NotAllowed, NotFound(kind="environment"), InvalidInput, Conflict when there are too many, NotConfigured
    without a key to seal secrets with.
    """
    _require(by, environment)
    secret = _sound_secret(secret)
    _check(parts, fields)
    webhook = Webhook(
        id=str(uuid.uuid4()),
        url=fields.url,
        environment=environment,
        events=_in_order(fields.events),
        model=fields.model,
        description=fields.description,
        enabled=fields.enabled,
        created_by=by.name,
        created_at=clock(),
        secret=parts.vault.seal(secret),
    )
    with store.transaction() as tx:
        tx.webhooks.add(webhook)
        _check_count(tx, environment)
        record_webhook(tx, "created", by, webhook, webhook.created_at, after=_told(webhook))
    return webhook, secret


def change_webhook(
    store: RegistryStore, parts: WebhookParts, clock: Clock, by: Principal, webhook_id: str, fields: WebhookFields
) -> Webhook:
    """Replace what the caller decides; one that is enabled again is no longer taken for failing.

    Raises NotFound(kind="webhook") also for one that the caller may not manage, InvalidInput.
    """
    with store.transaction() as tx:
        own_webhook(tx, by, webhook_id)
    _check(parts, fields)
    with store.transaction() as tx:
        known = tx.webhooks.get(webhook_id, for_change=True)
        again = fields.enabled and not known.enabled
        changed = replace(
            known,
            url=fields.url,
            events=_in_order(fields.events),
            model=fields.model,
            description=fields.description,
            enabled=fields.enabled,
            failing_since=None if again else known.failing_since,
            disabled_reason="" if fields.enabled else known.disabled_reason,
        )
        tx.webhooks.replace(changed)
        if again:
            tx.deliveries.wake(webhook_id)
        record_webhook(tx, "changed", by, changed, clock(), before=_told(known), after=_told(changed))
    return changed


def remove_webhook(store: RegistryStore, clock: Clock, by: Principal, webhook_id: str) -> None:
    """With what was still to be delivered. Raises NotFound(kind="webhook")."""
    with store.transaction() as tx:
        webhook = own_webhook(tx, by, webhook_id)
        tx.webhooks.delete(webhook_id)
        record_webhook(tx, "deleted", by, webhook, clock(), before=_told(webhook))


def rotate_secret(
    store: RegistryStore,
    parts: WebhookParts,
    clock: Clock,
    by: Principal,
    webhook_id: str,
    secret: str | None,
    overlap_hours: int,
) -> tuple[Webhook, str]:
    """Answers with the webhook and its new secret; for `overlap_hours` the one before it signs as well.

    Raises NotFound(kind="webhook"), InvalidInput, NotConfigured.
    """
    with store.transaction() as tx:
        own_webhook(tx, by, webhook_id)
    secret = _sound_secret(secret)
    sealed = parts.vault.seal(secret)
    with store.transaction() as tx:
        known = tx.webhooks.get(webhook_id, for_change=True)
        now = clock()
        until = now + timedelta(hours=overlap_hours)
        changed = replace(
            known,
            secret=sealed,
            previous=known.secret if overlap_hours else None,
            previous_until=until if overlap_hours else None,
        )
        tx.webhooks.replace(changed)
        record_webhook(tx, "rotated", by, changed, now, after={"overlap_hours": overlap_hours})
    return changed, secret


def list_webhooks(store: RegistryStore, by: Principal) -> Sequence[Webhook]:
    """Those that the caller may manage."""
    with store.transaction() as tx:
        return [webhook for webhook in tx.webhooks.list() if may_manage(by, webhook.environment)]


def get_webhook(store: RegistryStore, by: Principal, webhook_id: str) -> Webhook:
    """Raises NotFound(kind="webhook")."""
    with store.transaction() as tx:
        return own_webhook(tx, by, webhook_id)


def own_webhook(tx: Transaction, by: Principal, webhook_id: str) -> Webhook:
    """Raises NotFound(kind="webhook"): what a caller may not manage is not there for it."""
    webhook = tx.webhooks.get(webhook_id)
    if not may_manage(by, webhook.environment):
        raise NotFound("webhook", webhook_id)
    return webhook


def may_manage(by: Principal, environment: str) -> bool:
    """Webhooks without an environment hear of everything, so they are an admin's."""
    return by.may(Scope("webhook", environment) if environment else ADMIN)


def record_webhook(
    tx: Transaction,
    done: str,
    by: Principal,
    webhook: Webhook,
    at: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Record `webhook.<done>`."""
    change = Change(
        f"webhook.{done}", by, environment=webhook.environment, subject=webhook.id, before=before, after=after
    )
    record(tx, change, at)


def _told(webhook: Webhook) -> dict[str, Any]:
    """Of the url only whose it is: the rest of it may be as good as a password."""
    origin = urlsplit(webhook.url)
    return {
        "url": f"{origin.scheme}://{origin.netloc}",
        "events": list(webhook.events),
        "model": webhook.model,
        "description": webhook.description,
        "enabled": webhook.enabled,
    }


def _require(by: Principal, environment: str) -> None:
    by.require(Scope("webhook", environment) if environment else ADMIN)


def _check(parts: WebhookParts, fields: WebhookFields) -> None:
    for index, name in enumerate(fields.events):
        if name not in EVENT_TYPES:
            raise InvalidInput(f"{name[:80]!r} is not an event; docs/webhooks.md lists them.", field=f"events.{index}")
    parts.sender.check(fields.url)


def _check_count(tx: Transaction, environment: str) -> None:
    if sum(webhook.environment == environment for webhook in tx.webhooks.list()) > MAX_WEBHOOKS:
        whose = f"Environment {environment!r} has" if environment else "All environments together have"
        raise Conflict(f"{whose} {MAX_WEBHOOKS} webhooks, the most there can be; remove one first.", limit=MAX_WEBHOOKS)


def _in_order(events: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in EVENT_TYPES if name in events)


def _sound_secret(given: str | None) -> str:
    if given is None:
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    low, high = SECRET_BYTES
    try:
        size = len(base64.b64decode(given.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not given.startswith(SECRET_PREFIX) or not low <= size <= high:
        raise InvalidInput(
            f"The secret must be {SECRET_PREFIX} and the Base64 of {low} to {high} bytes; leave it out to get one.",
            field="secret",
        )
    return given
