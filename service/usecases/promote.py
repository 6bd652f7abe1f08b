"""Ask for a version to go into a stage: it does at once, or waits for approvals."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from service.domain.environment import Place
from service.domain.errors import DigestChanged, NotFound, PolicyRefused, Withdrawn
from service.domain.history import UNASKED, ChangeKind, Precondition, Transition
from service.domain.identity import Principal
from service.domain.model import ModelVersion
from service.domain.policy import APPROVALS, Approved, Policy, Refused, evaluate, needed_approvals
from service.domain.promotion import PENDING_FOR, Promotion, PromotionState
from service.usecases.change_stage import Wanted, change_stage, check_freeze, record_promotion, supersede
from service.usecases.policy_facts import gather
from service.usecases.ports import Clock, Transaction

FREEZES = "freezes"


@dataclass(frozen=True)
class Request:
    """What was asked for. By `version`, by `digest` (the highest version with it), or by both, which must agree.

    `over_freeze` asks to go over any freeze, as an administrator may. `restores` is set by a rollback.
    """

    place: Place
    version: int | None = None
    digest: str | None = None
    comment: str = ""
    precondition: Precondition = UNASKED
    over_freeze: bool = False
    kind: ChangeKind = ChangeKind.PROMOTION
    restores: int | None = None


def promote(tx: Transaction, clock: Clock, by: Principal, request: Request) -> Promotion:
    """The promotion: applied, or pending. One without an id changed nothing: the version is there already.

    Raises NotFound for an environment, stage, model or version that is not there, DigestChanged, Stale,
    PreconditionFailed, Frozen, Withdrawn, PolicyRefused.
    """
    tx.stages.lock([request.place])
    now = clock()
    version = _version(tx, request)
    last = tx.stages.last(request.place)
    request.precondition.check(last)
    return bring_in(tx, by, now, request, version, last)


def _version(tx: Transaction, request: Request) -> ModelVersion:
    model = request.place.model
    if request.version is not None:
        version = tx.models.version(model, request.version)
        if request.digest not in (None, version.digest):
            raise DigestChanged(
                f"Version {version.version} has other bytes than {request.digest}.", digest=version.digest
            )
        return version
    digest = request.digest or ""
    versions = tx.models.of_digest(model, digest)
    if not versions:
        raise NotFound("version", digest, f"Model {model!r} has no version with the digest {digest[:80]!r}.")
    return next((version for version in versions if version.withdrawn is None), versions[0])


def bring_in(
    tx: Transaction, by: Principal, now: datetime, request: Request, version: ModelVersion, last: Transition | None
) -> Promotion:
    """The same with the version found and the place, whose last change is `last`, locked."""
    promotion = Promotion(
        id="",
        environment=request.place.environment,
        model=request.place.model,
        stage=request.place.stage,
        version=version.version,
        digest=version.digest,
        kind=request.kind,
        state=PromotionState.APPLIED,
        comment=request.comment,
        requested_by=by.name,
        requested_by_id=by.token_id,
        requested_at=now,
        stands_on=last.revision if last else 0,
        needed=0,
        restores=request.restores,
        over_freeze=request.over_freeze,
    )
    if last is not None and last.version == version.version:
        return replace(promotion, revision=last.revision)
    check_freeze(tx, by, now, request.place.environment, over=request.over_freeze)
    promotion = replace(promotion, id=str(uuid.uuid4()))
    check_not_withdrawn(version)
    policy = policy_of(tx, request.place)
    refused = ask_policy(tx, now, policy, promotion, version)
    check_rules(refused)
    if refused:
        return _wait(tx, by, now, replace(promotion, needed=needed_approvals(policy)))
    return apply(tx, by, now, last, promotion)


def check_not_withdrawn(version: ModelVersion) -> None:
    """Raises Withdrawn."""
    if version.withdrawn is not None:
        raise Withdrawn(
            f"Version {version.version} of {version.model!r} was withdrawn: {version.withdrawn.reason}",
            version=version.version,
            reason=version.withdrawn.reason,
        )


def policy_of(tx: Transaction, place: Place) -> Policy:
    return tx.policies.current(place.environment, place.model).policies.of_stage(place.stage)


def ask_policy(
    tx: Transaction,
    now: datetime,
    policy: Policy,
    promotion: Promotion,
    version: ModelVersion,
    approvals: Sequence[Approved] = (),
) -> Sequence[Refused]:
    """The rules that say no; that of approvals among them means: not yet."""
    if policy == Policy():
        return ()  # nothing to look at
    promoter = Principal(promotion.requested_by_id, promotion.requested_by, ())
    rollback = promotion.kind is ChangeKind.ROLLBACK
    facts = gather(
        tx, now, policy, promotion.environment, promotion.stage, version, promoter, approvals, rollback=rollback
    )
    return [rule for rule in evaluate(policy, facts) if not (promotion.over_freeze and rule.rule == FREEZES)]


def check_rules(refused: Sequence[Refused]) -> None:
    """Raises PolicyRefused for rules that time does not cure."""
    rules = [asdict(rule) for rule in refused if rule.rule != APPROVALS]
    if rules:
        raise PolicyRefused(" ".join(str(rule["detail"]) for rule in rules), rules=rules)


def _wait(tx: Transaction, by: Principal, now: datetime, promotion: Promotion) -> Promotion:
    """Pending; one that waits for the same change already is answered with, another one is superseded."""
    waiting = tx.promotions.pending(promotion.place)
    if waiting is not None:
        alive = waiting.seen(now).state is PromotionState.PENDING
        if alive and _same(waiting, promotion):
            return waiting
        supersede(tx, by, now, waiting, f"Version {promotion.version} was asked for instead.")
    pending = replace(promotion, state=PromotionState.PENDING, expires_at=now + PENDING_FOR)
    tx.promotions.add(pending)
    record_promotion(tx, by, now, "promotion.requested", pending)
    return pending


def _same(one: Promotion, other: Promotion) -> bool:
    def change(promotion: Promotion) -> tuple[object, ...]:
        return (
            promotion.version,
            promotion.digest,
            promotion.kind,
            promotion.restores,
            promotion.stands_on,
            promotion.over_freeze,
        )

    return change(one) == change(other)


def apply(tx: Transaction, by: Principal, now: datetime, last: Transition | None, promotion: Promotion) -> Promotion:
    """Change the stage as the promotion says; the place is locked."""
    transition = change_stage(
        tx,
        by,
        now,
        promotion.place,
        last,
        Wanted(
            version=promotion.version,
            digest=promotion.digest,
            kind=promotion.kind,
            actor=promotion.requested_by,
            actor_id=promotion.requested_by_id,
            comment=promotion.comment,
            promotion_id=promotion.id,
            restores=promotion.restores,
            over_freeze=promotion.over_freeze,
        ),
    )
    applied = replace(promotion, state=PromotionState.APPLIED, revision=transition.revision, decided_at=transition.at)
    if promotion.state is PromotionState.PENDING:
        tx.promotions.decide(applied)
    else:
        tx.promotions.add(applied)
    record_promotion(tx, by, now, "promotion.applied", applied)
    return applied
