"""The audit trail in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.domain.audit import GENESIS, AuditQuery, AuditRow, Change
from service.stores.audit_chain import chained
from service.stores.memory_state import State


class MemoryAudit:
    def __init__(self, state: State) -> None:
        self._state = state
        self._changes: list[tuple[Change, datetime]] = []

    def append(self, change: Change, at: datetime) -> None:
        self._changes.append((change, at))

    def flush(self) -> None:
        """Write what was appended, as the last thing before the transaction ends."""
        for row in chained(self._changes, *self.head()):
            self._state.audit[row.seq] = row
        self._changes.clear()

    def head(self) -> tuple[int, str]:
        seq = max(self._state.audit, default=0)
        return seq, self._state.audit[seq].hash if seq else GENESIS

    def latest(self, wanted: AuditQuery, limit: int, before: int | None = None) -> Sequence[AuditRow]:
        found = [row for row in self._matching(wanted) if before is None or row.seq < before]
        return found[::-1][:limit]

    def chain(self, wanted: AuditQuery, limit: int, after: int = 0) -> Sequence[AuditRow]:
        return [row for row in self._matching(wanted) if row.seq > after][:limit]

    def _matching(self, wanted: AuditQuery) -> Sequence[AuditRow]:
        return [row for _, row in sorted(self._state.audit.items()) if wanted.matches(row)]
