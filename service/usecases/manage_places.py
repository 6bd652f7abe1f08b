"""Create, change and remove workspaces and environments."""

from __future__ import annotations

from typing import Any

from service.domain.audit import Change
from service.domain.environment import DEFAULT_STAGES, Environment
from service.domain.errors import InvalidInput
from service.domain.identity import Principal
from service.domain.names import check_slug, check_stage
from service.domain.workspace import KINDS, Workspace
from service.usecases.end_waiting import end_waiting
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record
from service.usecases.remove_environment import remove_environment


def put_workspace(
    store: RegistryStore, clock: Clock, by: Principal, name: str, kind: str, url: str, description: str
) -> tuple[Workspace, bool]:
    """Answers with the workspace and whether it is new. Raises InvalidInput."""
    check_slug("workspace", name)
    if kind not in KINDS:
        raise InvalidInput(f"{kind!r} is not a kind of workspace: use {', '.join(KINDS)}.", field="kind")
    if url and not url.startswith(("https://", "http://")):
        raise InvalidInput("The workspace's url must begin with https:// or http://.", field="url")
    now = clock()
    with store.transaction() as tx:
        before = next((_workspace(known) for known in tx.workspaces.list() if known.name == name), None)
        created = tx.workspaces.put(Workspace(name, kind, url, description, now))
        workspace = tx.workspaces.get(name)
        after = _workspace(workspace)
        if before != after:
            action = "workspace.created" if created else "workspace.changed"
            record(tx, Change(action, by, workspace=name, before=before, after=after), now)
        return workspace, created


def delete_workspace(store: RegistryStore, clock: Clock, by: Principal, name: str) -> None:
    """Raises NotFound, or InUse when something was imported from it."""
    with store.transaction() as tx:
        before = _workspace(tx.workspaces.get(name))
        tx.workspaces.delete(name)
        record(tx, Change("workspace.deleted", by, workspace=name, before=before), clock())


def put_environment(
    store: RegistryStore, clock: Clock, by: Principal, name: str, stages: tuple[str, ...] | None, description: str
) -> tuple[Environment, bool]:
    """Answers with the environment and whether it is new; `stages` None keeps those it has, or the default.

    What waits for approvals in a stage that is left out is superseded: nobody could approve or cancel it any more.
    Raises InvalidInput, or InUse when a stage that is left out holds a version.
    """
    check_slug("environment", name)
    if stages is not None:
        _check_stages(stages)
    now = clock()
    with store.transaction() as tx:
        known = next((environment for environment in tx.environments.list() if environment.name == name), None)
        if stages is None:
            stages = known.stages if known else DEFAULT_STAGES
        created = tx.environments.put(Environment(name, stages, description, now))
        environment = tx.environments.get(name)
        before, after = _environment(known) if known else None, _environment(environment)
        if before != after:
            action = "environment.created" if created else "environment.changed"
            record(tx, Change(action, by, environment=name, before=before, after=after), now)
        end_waiting(tx, by, now, name, "The stage was removed.", kept=stages)
        return environment, created


def _check_stages(stages: tuple[str, ...]) -> None:
    for index, stage in enumerate(stages):
        try:
            check_stage(stage)
        except InvalidInput as error:
            raise InvalidInput(error.detail, field=f"stages.{index}") from error
    if not stages or len({stage.casefold() for stage in stages}) != len(stages):
        raise InvalidInput("An environment needs at least one stage, and each name only once.", field="stages")


def delete_environment(store: RegistryStore, clock: Clock, by: Principal, name: str) -> None:
    """Raises NotFound, or InUse when a stage holds a version."""
    with store.transaction() as tx:
        before = _environment(tx.environments.get(name))
        remove_environment(tx, clock, by, name)
        record(tx, Change("environment.deleted", by, environment=name, before=before), clock())


def _workspace(workspace: Workspace) -> dict[str, Any]:
    return {"kind": workspace.kind, "url": workspace.url, "description": workspace.description}


def _environment(environment: Environment) -> dict[str, Any]:
    return {"stages": list(environment.stages), "description": environment.description}
