"""What the worker does for webhooks from time to time: find what was left, forget what is old, renew seals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from service.usecases.dispatch_events import dispatch_events
from service.usecases.event_ports import Vault
from service.usecases.ports import Clock, RegistryStore


def wake_overdue(store: RegistryStore, clock: Clock) -> int:
    """Queue jobs for retries whose time has come, and for whatever lost its job; how many webhooks that were."""
    dispatch_events(store, clock)
    with store.transaction() as tx:
        overdue = tx.deliveries.overdue(clock())
        for webhook_id in overdue:
            tx.deliveries.wake(webhook_id)
    return len(overdue)


def purge_events(store: RegistryStore, clock: Clock, days: int) -> int:
    """Forget events older than `days`, with their deliveries; how many there were."""
    with store.transaction() as tx:
        return tx.events.purge(clock() - timedelta(days=days))


def reseal_secrets(store: RegistryStore, vault: Vault) -> int:
    """Seal every secret with the first key, so that the operator can drop the others; how many changed."""
    changed = 0
    with store.transaction() as tx:
        for listed in tx.webhooks.list():
            known = tx.webhooks.get(listed.id, for_change=True)
            secret = vault.resealed(known.secret)
            previous = None if known.previous is None else vault.resealed(known.previous)
            if secret is not None or previous is not None:
                tx.webhooks.replace(replace(known, secret=secret or known.secret, previous=previous or known.previous))
                changed += 1
    return changed
