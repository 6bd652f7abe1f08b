"""Stage assignments and their transitions in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.domain.environment import Assignment
from service.domain.errors import NotFound
from service.domain.model import ModelVersion
from service.stores.memory_models import MemoryModels
from service.stores.memory_places import MemoryEnvironments
from service.stores.memory_state import Place, State, Transition


class MemoryStages:
    def __init__(self, state: State, environments: MemoryEnvironments, models: MemoryModels) -> None:
        self._state = state
        self._environments = environments
        self._models = models

    def assign(self, wanted: Assignment) -> Assignment:
        self._require_stage(wanted.environment, wanted.stage)
        digest = self._models.version(wanted.model, wanted.version).digest
        place = (wanted.environment, wanted.model, wanted.stage)
        current = self._state.assignments.get(place)
        if current is not None and current.version == wanted.version:
            return current
        written = replace(wanted, digest=digest, revision=self._next_revision(place))
        self._state.assignments[place] = written
        self._record(written, None if current is None else current.version)
        return written

    def _require_stage(self, environment: str, stage: str) -> None:
        if stage not in self._environments.get(environment).stages:
            raise NotFound("stage", stage, f"Environment {environment!r} has no stage {stage!r}.")

    def _next_revision(self, place: Place) -> int:
        return 1 + max((revision for known, revision in self._state.transitions if known == place), default=0)

    def _record(self, written: Assignment, previous: int | None) -> None:
        place = (written.environment, written.model, written.stage)
        self._state.transitions[place, written.revision] = Transition(
            *place,
            revision=written.revision,
            version=written.version,
            digest=written.digest,
            previous_version=previous,
            actor=written.assigned_by,
            comment=written.comment,
            at=written.assigned_at,
        )

    def current(self, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
        self._require_stage(environment, stage)
        self._models.get(model)
        held = self._state.assignments.get((environment, model, stage))
        if held is None:
            raise NotFound("assignment", stage, f"No version of {model!r} is in {environment}/{stage}.")
        return held, self._models.version(model, held.version)

    def list(self, environment: str) -> Sequence[Assignment]:
        held = [assignment for place, assignment in self._state.assignments.items() if place[0] == environment]
        return sorted(held, key=lambda assignment: (assignment.model, assignment.stage))
