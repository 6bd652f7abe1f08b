"""Delete versions and models that no stage needs: they are hidden for good; their bytes go as garbage."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from service.domain.audit import Change
from service.domain.environment import Place
from service.domain.errors import InUse, InvalidInput
from service.domain.history import UNASKED
from service.domain.identity import ADMIN, Principal, Scope
from service.domain.names import check_model_name
from service.usecases.change_stage import empty_stage
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record
from service.usecases.transition_version import ARCHIVED


def delete_version(tx: Transaction, clock: Clock, by: Principal, model: str, version: int) -> None:
    """A stage `Archived` that holds it is emptied: MLflow's clients archive what they delete.

    Raises NotAllowed, NotFound, InUse while another stage holds it or a pending promotion names it; Frozen and
    PolicyRefused where nothing leaves `Archived` now.
    """
    by.require(ADMIN)
    _leave_archives(tx, clock, by, model, [version])
    _check_unused(tx, model, version)
    now = clock()
    tx.models.delete_version(model, version, by.name, now)
    record(tx, Change("version.deleted", by, model=model, subject=str(version), after={"version": version}), now)


def delete_model(tx: Transaction, clock: Clock, by: Principal, model: str) -> None:
    """With all its versions. Raises as for one of them."""
    by.require(ADMIN)
    _leave_archives(tx, clock, by, model, tx.models.numbers(model))
    for version in tx.models.numbers(model):
        _check_unused(tx, model, version)
    now = clock()
    versions = list(tx.models.delete(model, by.name, now))
    record(tx, Change("model.deleted", by, model=model, before={"versions": versions}), now)


def rename_model(tx: Transaction, clock: Clock, by: Principal, model: str, name: str) -> None:
    """Raises NotFound, Conflict for a name that is or was taken, InUse once a version was in a stage: history names it.

    NotAllowed when the name is a workspace's that the caller may not import for.
    """
    check_model_name(name)
    _lock(tx, model)
    owner = tx.models.owner(model)
    if owner:
        by.require(Scope("import", owner))
    if tx.models.was_in_a_stage(model) or any(
        tx.promotions.pending_of(model, version) for version in tx.models.numbers(model)
    ):
        raise InUse(f"A version of {model!r} is or was in a stage, whose history names it: it keeps its name.")
    now = clock()
    tx.models.rename(model, name, now)
    record(tx, Change("model.renamed", by, model=name, before={"name": model}, after={"name": name}), now)


def _leave_archives(tx: Transaction, clock: Clock, by: Principal, model: str, versions: Collection[int]) -> None:
    held = [place for version in versions for place in tx.stages.holding(model, version)]
    archives = [place for place in held if place.stage.casefold() == ARCHIVED]
    _lock(tx, model, archives)
    for place in archives:
        last = tx.stages.last(place)  # somebody may have changed it before it was locked
        if last is not None and last.version in versions:
            empty_stage(tx, clock, by, place, "to delete the version", UNASKED)


def _lock(tx: Transaction, model: str, emptied: Sequence[Place] = ()) -> None:
    if tx.models.is_prompt(model):
        raise InvalidInput(f"{model!r} is a prompt, which is kept as its export brought it.", field="name")
    tx.stages.lock_model(model, {place.environment for place in emptied})


def _check_unused(tx: Transaction, model: str, version: int) -> None:
    held = [f"{place.environment}/{place.stage}" for place in tx.stages.holding(model, version)]
    if held:
        raise InUse(f"Version {version} of {model!r} is in {', '.join(held)}; take it out first.", stages=held)
    waiting = [promotion.id for promotion in tx.promotions.pending_of(model, version)]
    if waiting:
        raise InUse(
            f"Promotions wait to bring version {version} of {model!r} into a stage: {', '.join(waiting)}.",
            promotions=waiting,
        )
