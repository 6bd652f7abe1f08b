"""MLflow's model registry store, in which stages are those of the environment that the request came for.

MLflow's tables keep what is not about stages: descriptions, tags, aliases, sources. Its column of stages is neither
read nor written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from mlflow.prompt.registry_utils import handle_resource_already_exist_error
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.validation import (
    _validate_model_name,
    _validate_model_renaming,
    _validate_model_version,
    _validate_model_version_tag,
    _validate_registered_model_tag,
)

from service.domain.errors import Conflict, InvalidInput
from service.domain.promotion import PromotionState
from service.exports.prompts import RESERVED
from service.hosting.caller import caller
from service.hosting.translation import translated
from service.stores import tables as t
from service.usecases.create_model import create_model
from service.usecases.delete_version import delete_model, delete_version, rename_model
from service.usecases.request_version import VersionRequest, request_version
from service.usecases.transition_version import transition_version
from service.usecases.view_versions import DIGEST_TAG, NONE, Seen, Sight, View, download_uri

P = ParamSpec("P")
R = TypeVar("R")


def _in_our_words(method: Callable[P, R]) -> Callable[P, R]:
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with translated():
            return method(*args, **kwargs)

    return call


class RegistryStore(SqlAlchemyStore):  # type: ignore[misc]  # MLflow's base class is untyped here
    """MLflow's tables in the registry's database, seen from an environment by whoever calls."""

    # What MLflow's own queries find: every one of them goes through these two.

    def _get_query(self, session: Any, model: Any) -> Any:
        return super()._get_query(session, model).filter(*_shown(model))

    def _get_workspace_clauses(self, model: Any) -> list[Any]:
        return [*super()._get_workspace_clauses(model), *_shown(model)]

    def _get_latest_versions_for_models(self, session: Any, model_names: list[str]) -> dict[str, list[Any]]:
        return {name: [] for name in model_names}  # `_models` tells them

    def _get_search_model_versions_filter_clauses(self, parsed_filters: list[dict[str, Any]], dialect: str) -> Any:
        """The digest is told as a tag, but no row of MLflow's says it."""
        query = super()._get_search_model_versions_filter_clauses(
            [each for each in parsed_filters if each["key"] != DIGEST_TAG], dialect
        )
        for each in parsed_filters:
            if each["key"] == DIGEST_TAG:
                query = query.where(_has_digest(each["comparator"], each["value"]))
        return query

    # Models

    @_in_our_words
    def get_registered_model(self, name: str) -> RegisteredModel:
        with self.ManagedSessionMaker() as session:
            found = self._get_registered_model(session, name, eager=True).to_mlflow_entity([])
        return _models([found])[0]

    @_in_our_words
    def create_registered_model(
        self, name: str, tags: Any = None, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        _validate_model_name(name)
        told = {tag.key: tag.value for tag in tags or ()}
        for key, value in told.items():
            _validate_registered_model_tag(key, value)
        _check_no_prompt(told, "tags")
        by = caller()
        with by.transaction() as tx:
            made = create_model(tx, by.parts.clock, by.principal, name, description or "", told)
            prompt = not made and tx.models.is_prompt(name)
        if not made:
            handle_resource_already_exist_error(name, prompt, False)
        return self.get_registered_model(name)

    @_in_our_words
    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        _validate_model_renaming(new_name)
        by = caller()
        with by.transaction() as tx:
            rename_model(tx, by.parts.clock, by.principal, name, new_name)
        return self.get_registered_model(new_name)

    @_in_our_words
    def delete_registered_model(self, name: str) -> None:
        by = caller()
        with by.transaction() as tx:
            delete_model(tx, by.parts.clock, by.principal, name)

    @_in_our_words
    def search_registered_models(self, *args: Any, **kwargs: Any) -> PagedList:
        page = super().search_registered_models(*args, **kwargs)
        return PagedList(_models(page), page.token)

    @_in_our_words
    def update_registered_model(self, *args: Any, **kwargs: Any) -> RegisteredModel:
        return _models([super().update_registered_model(*args, **kwargs)])[0]

    @_in_our_words
    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        _check_no_prompt((tag.key,), "key")
        super().set_registered_model_tag(name, tag)

    @_in_our_words
    def delete_registered_model_tag(self, name: str, key: str) -> None:
        _check_no_prompt((key,), "key")
        super().delete_registered_model_tag(name, key)

    # Versions

    @_in_our_words
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """The bytes are frozen: PENDING_REGISTRATION until they are, which a client waits for."""
        _validate_model_name(name)
        told = {tag.key: tag.value for tag in tags or ()}
        for key, value in told.items():
            _validate_model_version_tag(key, value)
        _check_no_prompt(told, "tags")
        told.pop(DIGEST_TAG, None)  # a copy of a version brings it along
        asked = VersionRequest(name, source, run_id or "", model_id or "", description or "", run_link or "", told)
        by = caller()
        parts = by.parts
        number = request_version(parts.store, parts.objects, parts.clock, by.principal, asked, parts.signer)
        return self.get_model_version(name, number)

    @_in_our_words
    def delete_model_version(self, name: str, version: Any) -> None:
        number = _validate_model_version(version)
        by = caller()
        with by.transaction() as tx:
            delete_version(tx, by.parts.clock, by.principal, name, number)

    @_in_our_words
    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        _validate_model_name(name)
        with caller().sight([name]) as sight:
            sight.require(name)
            return [_version(seen) for seen in sight.latest([name], stages or ())[name]]

    @_in_our_words
    def get_model_version(self, name: str, version: Any) -> ModelVersion:
        return _version(_one(name, version))

    @_in_our_words
    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        _validate_model_name(name)
        with caller().sight([name]) as sight:
            return _version(sight.by_alias(name, alias))

    @_in_our_words
    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        return download_uri(_one(name, version))

    @_in_our_words
    def search_model_versions(self, *args: Any, **kwargs: Any) -> PagedList:
        page = super().search_model_versions(*args, **kwargs)
        keys = [(version.name, int(version.version)) for version in page]
        with caller().sight({name for name, _ in keys}) as sight:
            return PagedList([_version(seen) for seen in sight.many(keys)], page.token)

    @_in_our_words
    def update_model_version(self, name: str, version: Any, description: str | None = None) -> ModelVersion:
        super().update_model_version(name, version, description)
        return self.get_model_version(name, version)

    @_in_our_words
    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        """A stage holds one version, so that there is nothing more to archive."""
        by = caller()
        environment = by.require_promote()
        number = _validate_model_version(version)
        with by.transaction() as tx:
            promotion = transition_version(tx, by.parts.clock, by.principal, environment, name, number, stage)
        if promotion is not None and promotion.state is PromotionState.PENDING:
            raise Conflict(f"It waits for approvals, see /v1/promotions/{promotion.id}.", promotion=promotion.id)
        with by.transaction() as tx:
            # Whoever promotes a version is told of it, also when no stage shows it any more.
            moved = Sight(tx.views, View(environment, everything=True), [name]).one(name, number)
        return _version(replace(moved, stage=promotion.stage if promotion else NONE))

    @_in_our_words
    def set_model_version_tag(self, name: str, version: Any, tag: ModelVersionTag) -> None:
        _check_tag(tag.key)
        super().set_model_version_tag(name, version, tag)

    @_in_our_words
    def delete_model_version_tag(self, name: str, version: Any, key: str) -> None:
        _check_tag(key)
        super().delete_model_version_tag(name, version, key)

    # Aliases

    @_in_our_words
    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> None:
        if alias.lower() in {stage.lower() for stage in caller().view.stages}:
            raise InvalidInput(
                f"The alias {alias!r} is the name of a stage here: a transition of stages moves it.",
                field="alias",
            )
        super().set_registered_model_alias(name, alias, version)


def _shown(model: Any) -> list[sa.ColumnElement[bool]]:
    """Conditions on MLflow's models or versions that leave those that the caller may see."""
    if model not in (SqlRegisteredModel, SqlModelVersion):
        return []
    view = caller().view
    if view.everything:
        return []
    a = t.assignments.c
    here = sa.select(a.model).where(
        a.environment == (view.environment.name if view.environment else None), a.model == model.name
    )
    return [(here.where(a.version == model.version) if model is SqlModelVersion else here).exists()]


def _has_digest(comparator: str, value: str) -> sa.ColumnElement[bool]:
    v = t.versions.c
    same = {"=": v.digest == value, "!=": v.digest != value}
    if comparator not in same:
        raise InvalidInput(f"{DIGEST_TAG} can be compared by = and !=.", field="filter")
    here = (v.model == SqlModelVersion.name) & (v.version == SqlModelVersion.version)
    return sa.exists().where(here, same[comparator])


def _one(name: str, version: Any) -> Seen:
    _validate_model_name(name)
    number = _validate_model_version(version)
    with caller().sight([name]) as sight:
        return sight.one(name, number)


def _check_no_prompt(keys: Iterable[str], field: str) -> None:
    """Raises InvalidInput for a key by which MLflow would take a model for a prompt, or a prompt for another."""
    for key in keys:
        if key in RESERVED:
            raise InvalidInput(f"Prompts come with exports and never change: {key!r} is no tag to set.", field=field)


def _check_tag(key: str) -> None:
    _check_no_prompt((key,), "key")
    if key == DIGEST_TAG:
        raise InvalidInput(f"The tag {DIGEST_TAG!r} tells the version's bytes, which never change.", field="key")


def _version(seen: Seen) -> ModelVersion:
    known = seen.known
    return ModelVersion(
        name=known.model,
        version=known.version,
        creation_timestamp=known.created,
        last_updated_timestamp=known.updated,
        description=known.description,
        user_id=known.user,
        current_stage=seen.stage,
        source=known.source,
        run_id=known.run_id,
        status=known.status,
        status_message=known.status_message,
        tags=[ModelVersionTag(key, value) for key, value in seen.tags.items()],
        run_link=known.run_link,
        aliases=list(seen.aliases),
    )


def _models(found: Sequence[RegisteredModel]) -> list[RegisteredModel]:
    """The same with their latest versions and aliases as the caller sees them."""
    names = [model.name for model in found]
    with caller().sight(names) as sight:
        latest = sight.latest(names)
        for model in found:
            model.latest_versions = [_version(seen) for seen in latest[model.name]]
            model._aliases = dict(sight.aliases(model.name))
    return list(found)
