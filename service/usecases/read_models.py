"""Which models and versions a caller may see."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.errors import NotFound
from service.domain.identity import ADMIN, Principal
from service.domain.model import ModelVersion, RegisteredModel
from service.domain.refusals import no_version
from service.usecases.ports import RegistryStore, Transaction


def list_models(store: RegistryStore, by: Principal) -> Sequence[RegisteredModel]:
    with store.transaction() as tx:
        models = tx.models.list()
        if _sees_all(by):
            return models
        live = _live(tx, by)
        return [model for model in models if _sees(by, model, live)]


def get_model(store: RegistryStore, by: Principal, name: str) -> RegisteredModel:
    """Raises NotFound(kind="model"), also for a model that the caller may not see."""
    with store.transaction() as tx:
        model = tx.models.get(name)
        if not _sees_all(by) and not _sees(by, model, _live(tx, by)):
            raise NotFound("model", name)
        return model


def get_version(store: RegistryStore, by: Principal, name: str, number: int) -> ModelVersion:
    """Raises NotFound for a model or version that is not there or that the caller may not see.

    A reader of an environment sees exactly the versions that are in its stages; what it may not see is told
    in the same words as what is not there.
    """
    with store.transaction() as tx:
        may_see_version(tx, by, name, number)
        return tx.models.version(name, number)


def may_see_version(tx: Transaction, by: Principal, name: str, number: int) -> None:
    """Raises NotFound unless the caller may see the version, if it is there."""
    model = tx.models.get(name)
    if not _sees_all(by) and not _owns(by, model):
        live = _live(tx, by)
        if not _sees(by, model, live):
            raise NotFound("model", name)
        if (name, number) not in live:
            raise no_version(name, number)


def _sees_all(by: Principal) -> bool:
    """Whoever promotes or approves chooses among all versions."""
    return by.may(ADMIN) or bool(by.subjects("promote") | by.subjects("approve"))


def _owns(by: Principal, model: RegisteredModel) -> bool:
    workspaces = by.subjects("import")
    return "*" in workspaces or (model.workspace != "" and model.workspace in workspaces)


def _sees(by: Principal, model: RegisteredModel, live: set[tuple[str, int]]) -> bool:
    return _owns(by, model) or any((model.name, version) in live for version in model.versions)


def _live(tx: Transaction, by: Principal) -> set[tuple[str, int]]:
    """(model, version) of everything in the stages of the environments that the caller may read."""
    names = by.subjects("read")
    if "*" in names:
        names = frozenset(environment.name for environment in tx.environments.list())
    return {(held.model, held.version) for name in names for held in tx.stages.list(name)}
