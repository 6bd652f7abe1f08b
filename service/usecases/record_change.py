"""Record a change in the transaction that makes it, and publish it to whoever listens."""

from __future__ import annotations

from datetime import datetime

from service.domain.audit import Change
from service.domain.event import EVENT_TYPES, Event
from service.usecases.ports import Transaction


def record(tx: Transaction, change: Change, at: datetime) -> None:
    """Append the change to the audit trail, and publish it if it is an event: both exactly when `tx` is committed."""
    tx.audit.append(change, at)
    if change.action in EVENT_TYPES:
        tx.events.publish(_event(change, at))


def _event(change: Change, at: datetime) -> Event:
    return Event(
        type=change.action,
        at=at,
        environment=change.environment,
        workspace=change.workspace,
        model=change.model,
        data={
            "subject": change.subject,
            "by": change.actor.name,
            "before": None if change.before is None else dict(change.before),
            "after": None if change.after is None else dict(change.after),
        },
    )
