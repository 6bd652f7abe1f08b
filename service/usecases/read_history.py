"""What stages held when, and where versions were."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.history import Stay, Transition
from service.domain.identity import Principal, Scope
from service.domain.model import ModelVersion
from service.domain.refusals import no_stage
from service.usecases.ports import RegistryStore, Transaction
from service.usecases.read_models import may_see_version

READ = ("read", "promote", "approve")


def history(store: RegistryStore, place: Place, limit: int, before: int | None) -> Sequence[Transition]:
    """Changes of the stage, newest first, also of a stage that its environment has no more.

    Raises NotFound for an environment, stage or model that is not there and never was.
    """
    with store.transaction() as tx:
        found = tx.stages.history(place, limit, before)
        if not found and tx.stages.last(place) is None:
            _check(tx, place)
        return found


def stage_at(store: RegistryStore, place: Place, at: datetime) -> tuple[Assignment, ModelVersion]:
    """What the stage held at that time. Raises NotFound, of kind "assignment" when it was empty."""
    with store.transaction() as tx:
        change = tx.stages.change_by(place, at)
        if change is None:
            _check(tx, place)
        if change is None or change.version is None:
            raise NotFound(
                "assignment", place.stage, f"No version of {place.model!r} was in {place.environment}/{place.stage}."
            )
        version = tx.models.version(place.model, change.version)
    held = Assignment(
        *place,
        version=change.version,
        digest=change.digest or "",
        revision=change.revision,
        assigned_by=change.actor,
        assigned_at=change.at,
        comment=change.comment,
    )
    return held, version


def where(store: RegistryStore, by: Principal, model: str, version: int) -> Sequence[Stay]:
    """Everywhere the version is or was current, as far as the caller may read the environments.

    Raises NotFound for a model or version that is not there or that the caller may not see.
    """
    with store.transaction() as tx:
        tx.models.version(model, version)
        stays = [
            stay
            for stay in tx.stages.stays(model, version)
            if any(by.may(Scope(action, stay.environment)) for action in READ)
        ]
        if not stays:
            may_see_version(tx, by, model, version)
        return stays


def _check(tx: Transaction, place: Place) -> None:
    """Raises NotFound for what is not there of the address."""
    if place.stage not in tx.environments.get(place.environment).stages:
        raise no_stage(place.environment, place.stage)
    tx.models.get(place.model)
