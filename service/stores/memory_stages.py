"""Stages and their changes in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from service.domain.environment import Assignment, Place
from service.domain.history import Stay, Transition
from service.domain.model import ModelVersion
from service.domain.refusals import no_revision, no_stage, nothing_in
from service.stores.memory_models import MemoryModels
from service.stores.memory_places import MemoryEnvironments
from service.stores.memory_state import State


class MemoryStages:
    def __init__(self, state: State, environments: MemoryEnvironments, models: MemoryModels) -> None:
        self._state = state
        self._environments = environments
        self._models = models

    def lock(self, places: Collection[Place]) -> None:
        for place in sorted(places):
            self._require_stage(place.environment, place.stage)

    def lock_model(self, model: str, environments: Collection[str] = ()) -> None:
        for name in environments:  # transactions take turns
            self._environments.get(name)

    def _require_stage(self, environment: str, stage: str) -> None:
        if stage not in self._environments.get(environment).stages:
            raise no_stage(environment, stage)

    def _changes(self, place: Place) -> tuple[Transition, ...]:
        """Oldest first."""
        return self._state.transitions.get(place, ())

    def last(self, place: Place) -> Transition | None:
        return next(reversed(self._changes(place)), None)

    def change(self, transition: Transition) -> None:
        place = transition.place
        self._state.transitions[place] = (*self._changes(place), transition)
        self._state.assignments.pop(place, None)
        if transition.version is not None:
            self._state.assignments[place] = Assignment(
                *place,
                version=transition.version,
                digest=transition.digest or "",
                revision=transition.revision,
                assigned_by=transition.actor,
                assigned_at=transition.at,
                comment=transition.comment,
            )

    def change_at(self, place: Place, revision: int) -> Transition:
        for change in self._changes(place):
            if change.revision == revision:
                return change
        raise no_revision(place.stage, revision)

    def restorable(self, place: Place, below: int, other_than: int | None) -> Transition | None:
        for change in reversed(self._changes(place)):
            if (
                change.revision < below
                and change.version is not None
                and change.version != other_than
                and self._may_come_back(place.model, change.version)
            ):
                return change
        return None

    def _may_come_back(self, model: str, version: int) -> bool:
        held = self._state.versions[model, version]
        return held.version.withdrawn is None and not held.deleted

    def current(self, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
        self._require_stage(environment, stage)
        self._models.get(model)
        place = Place(environment, model, stage)
        held = self._state.assignments.get(place)
        if held is None:
            raise nothing_in(place)
        return held, self._models.version(model, held.version)

    def list(self, environment: str) -> Sequence[Assignment]:
        held = [assignment for place, assignment in self._state.assignments.items() if place[0] == environment]
        return sorted(held, key=lambda assignment: (assignment.model, assignment.stage))

    def holding(self, model: str, version: int) -> Sequence[Place]:
        held = self._state.assignments.items()
        return sorted(place for place, item in held if (item.model, item.version) == (model, version))

    def history(self, place: Place, limit: int, before: int | None) -> Sequence[Transition]:
        found = [change for change in reversed(self._changes(place)) if before is None or change.revision < before]
        return found[:limit]

    def change_by(self, place: Place, at: datetime) -> Transition | None:
        return next((change for change in reversed(self._changes(place)) if change.at <= at), None)

    def stays(self, model: str, version: int) -> Sequence[Stay]:
        found = []
        for place, changes in sorted(self._state.transitions.items()):
            for change, after in zip(changes, (*changes[1:], None), strict=True):
                if (place.model, change.version) == (model, version):
                    found.append(
                        Stay(
                            environment=place.environment,
                            stage=place.stage,
                            revision=change.revision,
                            since=change.at,
                            by=change.actor,
                            kind=change.kind,
                            until=None if after is None else after.at,
                            ended_by=None if after is None else after.kind,
                        )
                    )
        return found
