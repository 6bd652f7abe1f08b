"""Counts by kind, as a report shows them."""

from __future__ import annotations

from collections import Counter

from service.usecases.ports import TrackingCounts


class Tally:
    def __init__(self) -> None:
        self._created: Counter[str] = Counter()
        self._updated: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._experiments: dict[str, str] = {}

    def created(self, kind: str, count: int = 1) -> None:
        self._created[kind] += count

    def updated(self, kind: str, count: int = 1) -> None:
        self._updated[kind] += count

    def skipped(self, kind: str, count: int = 1) -> None:
        self._skipped[kind] += count

    def experiment(self, original_id: str, name: str) -> None:
        self._experiments[original_id] = name

    def counts(self) -> TrackingCounts:
        return TrackingCounts(dict(self._created), dict(self._updated), dict(self._skipped), dict(self._experiments))
