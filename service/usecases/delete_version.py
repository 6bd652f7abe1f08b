"""Delete versions and models that no stage needs: they are hidden for good; their bytes go as garbage."""

from __future__ import annotations

from service.domain.audit import Change
from service.domain.errors import InUse, InvalidInput
from service.domain.identity import ADMIN, Principal, Scope
from service.domain.names import check_model_name
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record


def delete_version(tx: Transaction, clock: Clock, by: Principal, model: str, version: int) -> None:
    """Raises NotAllowed, NotFound, InUse while a stage holds it or a pending promotion names it."""
    by.require(ADMIN)
    _lock(tx, model)
    _check_unused(tx, model, version)
    now = clock()
    tx.models.delete_version(model, version, by.name, now)
    record(tx, Change("version.deleted", by, model=model, subject=str(version), after={"version": version}), now)


def delete_model(tx: Transaction, clock: Clock, by: Principal, model: str) -> None:
    """With all its versions. Raises NotAllowed, NotFound, InUse as for one of them."""
    by.require(ADMIN)
    _lock(tx, model)
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


def _lock(tx: Transaction, model: str) -> None:
    if tx.models.is_prompt(model):
        raise InvalidInput(f"{model!r} is a prompt, which is kept as its export brought it.", field="name")
    tx.stages.lock_model(model)


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
