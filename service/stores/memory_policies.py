"""Policies in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.domain.errors import PreconditionFailed
from service.domain.policy import PolicyVersion, StagePolicies
from service.stores.memory_models import MemoryModels
from service.stores.memory_places import MemoryEnvironments
from service.stores.memory_state import State


class MemoryPolicies:
    def __init__(self, state: State, environments: MemoryEnvironments, models: MemoryModels) -> None:
        self._state = state
        self._environments = environments
        self._models = models

    def put(
        self,
        environment: str,
        model: str,
        policies: StagePolicies | None,
        by: str,
        at: datetime,
        expected: int | None = None,
    ) -> PolicyVersion:
        current = self.own(environment, model)
        if expected not in (None, current.number):
            raise PreconditionFailed(
                f"The policy is at version {current.number}, not {expected}.", current=current.number
            )
        last = self.history(environment, model, 1, None)
        number = last[0].number + 1 if last else 1
        written = PolicyVersion(
            environment, model, number, policies or StagePolicies(), by, at, removed=policies is None
        )
        self._state.policies[environment, model, number] = written
        return written

    def own(self, environment: str, model: str) -> PolicyVersion:
        last = self.history(environment, model, 1, None)
        return PolicyVersion.none(environment, model) if not last or last[0].removed else last[0]

    def current(self, environment: str, model: str) -> PolicyVersion:
        own = self.own(environment, model)
        return own if own.number else self.own(environment, "")

    def history(self, environment: str, model: str, limit: int, before: int | None) -> Sequence[PolicyVersion]:
        self._environments.get(environment)
        if model:
            self._models.get(model)
        found = [
            held
            for (place, name, number), held in self._state.policies.items()
            if (place, name) == (environment, model) and (before is None or number < before)
        ]
        return sorted(found, key=lambda held: -held.number)[:limit]
