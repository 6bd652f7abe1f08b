"""Put a version into a stage of an environment."""

from __future__ import annotations

from typing import Any

from service.domain.audit import Change
from service.domain.environment import Assignment
from service.domain.errors import NotFound
from service.domain.identity import Principal
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record


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
        return put_into_stage(tx, by, wanted)


def put_into_stage(tx: Transaction, by: Principal, wanted: Assignment) -> Assignment:
    """Assign in a transaction of the caller's, and record the change if it is one."""
    before = _current(tx, wanted)
    written = tx.stages.assign(wanted)
    if before is None or written.revision != before.revision:
        record(
            tx,
            Change(
                "stage.changed",
                by,
                environment=written.environment,
                model=written.model,
                subject=written.stage,
                before=None if before is None else _told(before),
                after={**_told(written), "comment": written.comment},
            ),
            written.assigned_at,
        )
    return written


def _current(tx: Transaction, wanted: Assignment) -> Assignment | None:
    try:
        return tx.stages.current(wanted.environment, wanted.model, wanted.stage)[0]
    except NotFound:
        return None


def _told(assignment: Assignment) -> dict[str, Any]:
    return {"version": assignment.version, "digest": assignment.digest, "revision": assignment.revision}
