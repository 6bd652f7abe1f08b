"""Gather what the rules of a policy look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.domain.errors import NotFound
from service.domain.identity import Principal
from service.domain.model import ModelVersion
from service.domain.policy_facts import Approved, Facts, Held, Measured
from service.domain.policy_rules import Policy
from service.usecases.policy_freezes import frozen
from service.usecases.policy_ports import Stretch
from service.usecases.ports import Transaction


def gather(
    tx: Transaction,
    now: datetime,
    policy: Policy,
    environment: str,
    stage: str,
    version: ModelVersion,
    promoter: Principal,
    approvals: Sequence[Approved] = (),
    rollback: bool = False,
) -> Facts:
    """The facts about `version` on its way into the stage, as they are in this transaction."""
    names = {bound.metric for bound in policy.metrics} | {rule.metric for rule in policy.regressions}
    return Facts(
        now=now,
        stage=stage,
        digest=version.digest,
        promoter_id=promoter.token_id,
        promoter=promoter.name,
        rollback=rollback,
        workspace=version.lineage.workspace,
        signature=version.signature is not None,
        flavors=version.flavors,
        files=tuple(file.path for file in tx.models.manifest(version.digest).files),
        tags=tx.evidence.tags(version.model, version.version),
        measured=tx.evidence.measured(version, names),
        current=_current(tx, environment, stage, version, names),
        held={
            (rule.environment, rule.stage): held
            for rule in policy.came_from
            if (held := _held(tx, rule.environment, rule.stage, version, now)) is not None
        },
        approvals=tuple(approvals),
        frozen=frozen(policy, now),
    )


def _current(tx: Transaction, environment: str, stage: str, version: ModelVersion, names: set[str]) -> Measured | None:
    try:
        _, current = tx.stages.current(environment, version.model, stage)
    except NotFound as absent:
        if absent.where["kind"] != "assignment":
            raise
        return None
    return tx.evidence.measured(current, names)


def _held(tx: Transaction, environment: str, stage: str, version: ModelVersion, now: datetime) -> Held | None:
    stretches = tx.evidence.stretches(environment, version.model, stage, version.digest)
    if not stretches:
        return None
    lengths = [_length(stretch, now) for stretch in stretches]
    return Held(max(lengths), sum(lengths, timedelta()), stretches[-1][1] is None)


def _length(stretch: Stretch, now: datetime) -> timedelta:
    start, end = stretch
    return max(timedelta(), (end or now) - start)
