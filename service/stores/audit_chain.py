"""Changes as rows that go on from the last one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from service.domain.audit import AuditRow, Change
from service.stores.plain import plain


def chained(changes: Iterable[tuple[Change, datetime]], seq: int, previous: str) -> list[AuditRow]:
    """One row for each change, after the row `seq` whose hash is `previous`."""
    rows: list[AuditRow] = []
    for change, at in changes:
        seq += 1
        unsealed = AuditRow(
            seq=seq,
            at=at,
            action=change.action,
            actor_id=change.actor.token_id,
            actor=plain(change.actor.name),
            workspace=plain(change.workspace),
            environment=plain(change.environment),
            model=plain(change.model),
            subject=plain(change.subject),
            before=plain(change.before),
            after=plain(change.after),
            request_id=change.actor.request_id,
            previous=previous,
        )
        previous = unsealed.computed_hash()
        rows.append(replace(unsealed, hash=previous))
    return rows
