"""Put a version into a stage of an environment."""

from __future__ import annotations

from service.domain.environment import Assignment
from service.domain.identity import Principal
from service.usecases.ports import Clock, RegistryStore


def assign_stage(
    store: RegistryStore,
    clock: Clock,
    by: Principal,
    environment: str,
    model: str,
    stage: str,
    version: int,
    comment: str = "",
) -> Assignment:
    """Make `version` the one that (environment, model, stage) hands out.

    Raises NotFound for an environment, stage, model or version that is not there.
    """
    wanted = Assignment(
        environment=environment,
        model=model,
        stage=stage,
        version=version,
        digest="",
        revision=0,
        assigned_by=by.name,
        assigned_at=clock(),
        comment=comment,
    )
    with store.transaction() as tx:
        return tx.stages.assign(wanted)
