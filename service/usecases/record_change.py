"""Record a change in the transaction that makes it."""

from __future__ import annotations

from datetime import datetime

from service.domain.audit import Change
from service.usecases.ports import Transaction


def record(tx: Transaction, change: Change, at: datetime) -> None:
    """Append the change to the audit trail: it is there exactly when `tx` is committed."""
    tx.audit.append(change, at)
