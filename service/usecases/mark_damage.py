"""Mark a stored file that is not the registered one: it is not handed out until a scrub finds it sound."""

from __future__ import annotations

from datetime import datetime

from service.domain.audit import Change
from service.domain.identity import SERVICE
from service.usecases.ports import Transaction
from service.usecases.record_change import record


def mark_damage(tx: Transaction, digest: str, path: str, reason: str, at: datetime) -> None:
    """What is marked already is neither recorded nor told again."""
    if not tx.damages.mark(digest, path, reason, at):
        return
    versions = [{"model": model, "version": number} for model, number in tx.checks.versions(digest)]
    found = {"path": path, "reason": reason, "versions": versions}
    record(tx, Change("bytes.damaged", SERVICE, subject=digest, after=found), at)
