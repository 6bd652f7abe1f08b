"""Create, change and remove workspaces and environments."""

from __future__ import annotations

from service.domain.environment import DEFAULT_STAGES, Environment
from service.domain.errors import InvalidInput
from service.domain.names import check_slug, check_stage
from service.domain.workspace import KINDS, Workspace
from service.usecases.ports import Clock, RegistryStore


def put_workspace(
    store: RegistryStore, clock: Clock, name: str, kind: str, url: str, description: str
) -> tuple[Workspace, bool]:
    """Answers with the workspace and whether it is new. Raises InvalidInput."""
    check_slug("workspace", name)
    if kind not in KINDS:
        raise InvalidInput(f"{kind!r} is not a kind of workspace: use {', '.join(KINDS)}.", field="kind")
    if url and not url.startswith(("https://", "http://")):
        raise InvalidInput("The workspace's url must begin with https:// or http://.", field="url")
    with store.transaction() as tx:
        created = tx.workspaces.put(Workspace(name, kind, url, description, clock()))
        return tx.workspaces.get(name), created


def put_environment(
    store: RegistryStore, clock: Clock, name: str, stages: tuple[str, ...] | None, description: str
) -> tuple[Environment, bool]:
    """Answers with the environment and whether it is new; `stages` None keeps those it has, or the default.

    Raises InvalidInput, or InUse when a stage that is left out holds a version.
    """
    check_slug("environment", name)
    if stages is not None:
        for index, stage in enumerate(stages):
            try:
                check_stage(stage)
            except InvalidInput as error:
                raise InvalidInput(error.detail, field=f"stages.{index}") from error
        if not stages or len({stage.casefold() for stage in stages}) != len(stages):
            raise InvalidInput("An environment needs at least one stage, and each name only once.", field="stages")
    with store.transaction() as tx:
        if stages is None:
            known = {environment.name: environment.stages for environment in tx.environments.list()}
            stages = known.get(name, DEFAULT_STAGES)
        created = tx.environments.put(Environment(name, stages, description, clock()))
        return tx.environments.get(name), created
