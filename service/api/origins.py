"""Routes of origins: which experiment, logged model, model and version here is which one there."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import origin_payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.domain.errors import NotFound
from service.domain.identity import Scope
from service.usecases.model_ports import Origin
from service.wiring import Parts

ORIGINS = Tag(name="origins", description="What experiments, logged models, models and versions are called there")


def add_origins(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/workspaces/<workspace>/experiments/<original_id>", tags=[ORIGINS], responses={200: p.OriginsOut})
    @scoped("import", parameter="workspace")
    def get_imported_experiment(path: p.OriginalExperimentPath) -> Response:
        """The experiments that a workspace knows by this id; several when its servers number alike."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            return _told("experiment", path.original_id, tx.origins.experiments(path.workspace, path.original_id))

    @api.get("/experiments/<experiment_id>", tags=[ORIGINS], responses={200: p.OriginsOut})
    @authenticated()
    def get_experiment(path: p.ExperimentPath) -> Response:
        """Where an experiment comes from."""
        with parts.store.transaction() as tx:
            return _own("experiment", path.experiment_id, tx.origins.of_experiment(path.experiment_id))

    @api.get("/workspaces/<workspace>/logged-models/<original_id>", tags=[ORIGINS], responses={200: p.OriginsOut})
    @scoped("import", parameter="workspace")
    def get_imported_logged_model(path: p.OriginalLoggedModelPath) -> Response:
        """The logged model that a workspace knows by this id."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            return _told("logged model", path.original_id, tx.origins.logged_models(path.workspace, path.original_id))

    @api.get("/logged-models/<model_id>", tags=[ORIGINS], responses={200: p.OriginsOut})
    @authenticated()
    def get_logged_model(path: p.LoggedModelPath) -> Response:
        """Where a logged model comes from."""
        with parts.store.transaction() as tx:
            return _own("logged model", path.model_id, tx.origins.of_logged_model(path.model_id))

    @api.get("/workspaces/<workspace>/models/<original_model>", tags=[ORIGINS], responses={200: p.OriginsOut})
    @scoped("import", parameter="workspace")
    def get_imported_model(path: p.OriginalModelPath) -> Response:
        """The models here that a workspace's model of this name became."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            return _told("model", path.original_model, tx.origins.models(path.workspace, path.original_model))

    @api.get(
        "/workspaces/<workspace>/models/<original_model>/versions/<original_version>",
        tags=[ORIGINS],
        responses={200: p.VersionOriginsOut},
    )
    @scoped("import", parameter="workspace")
    def get_imported_version(path: p.OriginalVersionPath) -> Response:
        """The versions here that a workspace's version of this number became; the way back is a version's lineage."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            found = tx.origins.versions(path.workspace, path.original_model, path.original_version)
        if not found:
            raise NotFound("version", path.original_version)
        return answer(p.VersionOriginsOut(origins=[p.VersionOriginOut.model_validate(item) for item in found]))


def _own(kind: str, name: str, found: Sequence[Origin]) -> Response:
    """Raises NotAllowed for what another workspace brought."""
    for origin in found:
        principal().require(Scope("import", origin.workspace))
    return _told(kind, name, found)


def _told(kind: str, name: str, found: Sequence[Origin]) -> Response:
    if not found:
        raise NotFound(kind, name)
    return answer(p.OriginsOut(origins=[p.ImportedOut.model_validate(item) for item in found]))
