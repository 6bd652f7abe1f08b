"""What MLflow's clients see of models and versions, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from service.domain.environment import Assignment
from service.stores.memory_state import State
from service.usecases.view_ports import Key, KnownVersion


class MemoryViews:
    def __init__(self, state: State) -> None:
        self._state = state

    def held(self, environment: str, models: Collection[str]) -> Sequence[Assignment]:
        held = self._state.assignments.items()
        return [item for place, item in held if place.environment == environment and place.model in models]

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        known = self._state.mlflow_models
        return {model: dict(sorted(known[model].aliases.items())) for model in models if model in known}

    def versions(self, keys: Collection[Key]) -> Mapping[Key, KnownVersion]:
        return {key: known for key in keys if (known := self._known(key)) is not None}

    def highest(self, models: Collection[str], beside: Collection[Key]) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for model, number in sorted(self._state.known):
            if model in models and (model, number) not in beside:
                found[model] = number
        return found

    def _known(self, key: Key) -> KnownVersion | None:
        known = self._state.known.get(key)
        held = self._state.versions.get(key)
        if known is None or held is None:
            return known
        return replace(known, digest=held.version.digest, tags=held.tags)
