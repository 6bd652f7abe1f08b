"""Counts by kind, as a report shows them."""

from __future__ import annotations

from collections import Counter

from service.usecases.tracking_ports import TrackingCounts


class Tally:
    def __init__(self) -> None:
        self._created: Counter[str] = Counter()
        self._updated: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._experiments: dict[str, tuple[int, str]] = {}
        self._failed: list[dict[str, str]] = []

    def created(self, kind: str, count: int = 1) -> None:
        self._created[kind] += count

    def updated(self, kind: str, count: int = 1) -> None:
        self._updated[kind] += count

    def skipped(self, kind: str, count: int = 1) -> None:
        self._skipped[kind] += count

    def kept(self, kind: str, *, changed: bool) -> None:
        """One that was here before."""
        (self.updated if changed else self.skipped)(kind)

    def failed(self, kind: str, name: str, reason: str) -> None:
        """`kind` in the singular, as in the report's list of failures."""
        self._failed.append({"kind": kind, "name": name, "reason": reason})

    def experiment(self, original_id: str, experiment_id: int, name: str) -> None:
        self._experiments[original_id] = (experiment_id, name)

    def counts(self) -> TrackingCounts:
        return TrackingCounts(
            dict(self._created),
            dict(self._updated),
            dict(self._skipped),
            dict(self._experiments),
            tuple(self._failed),
        )
