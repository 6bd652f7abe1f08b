"""What is known of a version beyond its own row, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from service.domain.environment import Place
from service.domain.model import ModelVersion
from service.domain.policy_facts import Evaluation, Measured
from service.stores.memory_state import State
from service.stores.stretches import joined
from service.usecases.policy_ports import Stretch


class MemoryEvidence:
    def __init__(self, state: State) -> None:
        self._state = state

    def params(self, run_id: str, limit: int) -> Mapping[str, str]:
        return dict(sorted(self._state.params.get(run_id, {}).items())[:limit])

    def tags(self, model: str, version: int) -> Mapping[str, str]:
        held = self._state.versions.get((model, version))
        return {} if held is None else dict(held.tags)

    def measured(self, version: ModelVersion, names: Collection[str]) -> Measured:
        run = self._state.metrics.get(version.run_id, {})
        latest = {(each.metric, each.dataset): each for each in self._evaluations(version)}
        return Measured(
            {name: value for name, value in run.items() if name in names},
            tuple(each for each in self._evaluations(version) if each.metric in names and each in latest.values()),
        )

    def metric_names(self, version: ModelVersion, limit: int) -> Sequence[str]:
        names = {*self._state.metrics.get(version.run_id, {}), *(each.metric for each in self._evaluations(version))}
        return sorted(names)[:limit]

    def _evaluations(self, version: ModelVersion) -> Sequence[Evaluation]:
        return self._state.evaluations.get((version.run_id, version.lineage.artifact_path), ())

    def stretches(self, environment: str, model: str, stage: str, digest: str) -> Sequence[Stretch]:
        rows = self._state.transitions.get(Place(environment, model, stage), ())
        found: list[Stretch] = [(row.at, after.at) for row, after in pairwise(rows) if row.digest == digest]
        if rows and rows[-1].digest == digest:
            found.append((rows[-1].at, None))
        return joined(found)
