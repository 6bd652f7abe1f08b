"""Routes of workspaces and environments."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api.answers import answer, created_or_ok, no_content
from service.api.auth import admin, authenticated, principal, scoped
from service.api.document import problems
from service.domain.identity import Scope
from service.usecases.manage_places import delete_environment, delete_workspace, put_environment, put_workspace
from service.usecases.read_history import READ
from service.wiring import Parts

WORKSPACES = Tag(name="workspaces", description="Where models come from")
ENVIRONMENTS = Tag(name="environments", description="Where models are used")


def add_workspaces(api: APIBlueprint, parts: Parts) -> None:
    @api.put(
        "/workspaces/<workspace>",
        tags=[WORKSPACES],
        responses={200: p.WorkspaceOut, 201: p.WorkspaceOut, **problems(409, 413, 415)},
    )
    @admin()
    def put_workspace_(path: p.NewWorkspacePath, body: p.WorkspaceIn) -> Response:
        """Create or change a workspace, where models come from."""
        workspace, created = put_workspace(
            parts.store, parts.clock, principal(), path.workspace, body.kind, body.url, body.description
        )
        return created_or_ok(p.WorkspaceOut.model_validate(workspace), created)

    @api.get("/workspaces/<workspace>", tags=[WORKSPACES], responses={200: p.WorkspaceOut})
    @scoped("import", parameter="workspace")
    def get_workspace(path: p.WorkspacePath) -> Response:
        """One workspace."""
        with parts.store.transaction() as tx:
            return answer(p.WorkspaceOut.model_validate(tx.workspaces.get(path.workspace)))

    @api.get("/workspaces", tags=[WORKSPACES], responses={200: p.WorkspacesOut})
    @authenticated()
    def list_workspaces() -> Response:
        """The workspaces that the token may import from; all of them for an admin."""
        with parts.store.transaction() as tx:
            seen = [item for item in tx.workspaces.list() if principal().may(Scope("import", item.name))]
        return answer(p.WorkspacesOut(workspaces=[p.WorkspaceOut.model_validate(item) for item in seen]))

    @api.delete("/workspaces/<workspace>", tags=[WORKSPACES], responses={204: None, **problems(409)})
    @admin()
    def delete_workspace_(path: p.WorkspacePath) -> Response:
        """Remove a workspace that nothing was imported from."""
        delete_workspace(parts.store, parts.clock, principal(), path.workspace)
        return no_content()


def add_environments(api: APIBlueprint, parts: Parts) -> None:
    @api.put(
        "/environments/<environment>",
        tags=[ENVIRONMENTS],
        responses={200: p.EnvironmentOut, 201: p.EnvironmentOut, **problems(409, 413, 415)},
    )
    @admin()
    def put_environment_(path: p.NewEnvironmentPath, body: p.EnvironmentIn) -> Response:
        """Create or change an environment, where models are used."""
        stages = None if body.stages is None else tuple(body.stages)
        environment, created = put_environment(
            parts.store, parts.clock, principal(), path.environment, stages, body.description
        )
        return created_or_ok(p.EnvironmentOut.model_validate(environment), created)

    @api.get("/environments/<environment>", tags=[ENVIRONMENTS], responses={200: p.EnvironmentOut})
    @scoped(*READ, parameter="environment")
    def get_environment(path: p.EnvironmentPath) -> Response:
        """One environment with its stages in order."""
        with parts.store.transaction() as tx:
            return answer(p.EnvironmentOut.model_validate(tx.environments.get(path.environment)))

    @api.get("/environments", tags=[ENVIRONMENTS], responses={200: p.EnvironmentsOut})
    @authenticated()
    def list_environments() -> Response:
        """The environments that the token may read; all of them for an admin."""
        with parts.store.transaction() as tx:
            seen = [
                item
                for item in tx.environments.list()
                if any(principal().may(Scope(action, item.name)) for action in READ)
            ]
        return answer(p.EnvironmentsOut(environments=[p.EnvironmentOut.model_validate(item) for item in seen]))

    @api.delete("/environments/<environment>", tags=[ENVIRONMENTS], responses={204: None, **problems(409)})
    @admin()
    def delete_environment_(path: p.EnvironmentPath) -> Response:
        """Remove an environment whose stages are empty."""
        delete_environment(parts.store, parts.clock, principal(), path.environment)
        return no_content()
