"""Approve, reject or cancel a pending promotion; the last approval applies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from service.domain.errors import (
    AlreadyApproved,
    Conflict,
    DigestChanged,
    PromotionClosed,
    RequesterRevoked,
    SelfApproval,
    Stale,
)
from service.domain.history import Transition, told
from service.domain.identity import Principal, Scope, Token
from service.domain.model import ModelVersion
from service.domain.policy import APPROVALS, Approved, Policy, approval_lifetime, needed_approvals
from service.domain.promotion import Approval, Decision, Promotion, PromotionState
from service.usecases.change_stage import check_freeze, promotion_changed, record_promotion, told_problem
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.promote import FREEZES, apply, ask_policy, check_not_withdrawn, check_rules, policy_of
from service.usecases.record_change import record

WORKER = Principal("", "worker", ())
"""Who writes down what the passing of time did."""


def approve(
    tx: Transaction, clock: Clock, by: Principal, promotion_id: str, comment: str = "", digest: str | None = None
) -> Promotion:
    """Add the caller's approval of exactly these bytes; with the last one the promotion is applied.

    Answers with the promotion: pending, applied, or refused, with why in its `problem`. `digest` is what the
    approver has looked at, None does not ask. Raises NotFound, NotAllowed, PromotionClosed, SelfApproval,
    DigestChanged, AlreadyApproved, and what only holds for now: Frozen, and PolicyRefused for a freeze of the policy.
    """
    promotion, now = _opened(tx, clock, by, promotion_id, "approve")
    if by.name == promotion.requested_by or (by.token_id and by.token_id == promotion.requested_by_id):
        raise SelfApproval(f"{by.name!r} asked for this promotion; somebody else has to approve it.")
    if digest not in (None, promotion.digest):
        raise DigestChanged(f"The promotion is of other bytes than {digest}.", digest=promotion.digest)
    if not promotion.over_freeze:
        check_freeze(tx, by, now, promotion.environment)
    tokens = tx.tokens.held({by.token_id, promotion.requested_by_id, *(one.approver_id for one in promotion.approvals)})
    for earlier in promotion.approvals:
        if earlier.is_by(by.token_id, by.name) and now < earlier.expires_at and _usable(tokens, earlier, now):
            raise AlreadyApproved(f"{by.name!r} has approved this promotion already.")
    policy = policy_of(tx, promotion.place)
    approval = _decision(by, now, promotion, Decision.APPROVED, comment, policy)
    tx.promotions.approve(promotion.id, approval)
    promotion = replace(promotion, approvals=(*promotion.approvals, approval), needed=needed_approvals(policy))
    _record_decision(tx, by, now, "promotion.approved", promotion, comment)
    return _take_further(tx, by, now, promotion, policy, tokens)


def _take_further(
    tx: Transaction,
    by: Principal,
    now: datetime,
    promotion: Promotion,
    policy: Policy,
    tokens: Mapping[str, Token],
) -> Promotion:
    """Apply it when nothing is missing; everything that was checked when it was asked for is checked again."""
    last = tx.stages.last(promotion.place)
    try:
        version = _checked(tx, promotion, last, tokens)
        given = [_given(approval, tokens, now) for approval in promotion.approvals]
        rules = ask_policy(tx, now, policy, promotion, version, given)
        if any(rule.rule == APPROVALS for rule in rules):
            return promotion
        check_rules([rule for rule in rules if rule.rule != FREEZES])
    except Conflict as error:
        refused = replace(promotion, state=PromotionState.REFUSED, decided_at=now, problem=told_problem(error))
        tx.promotions.decide(refused)
        record_promotion(tx, by, now, "promotion.refused", refused)
        return refused
    check_rules(rules)  # a freeze says: not now
    return apply(tx, by, now, last, promotion)


def _checked(
    tx: Transaction, promotion: Promotion, last: Transition | None, tokens: Mapping[str, Token]
) -> ModelVersion:
    """The version, if it may still go in as far as no policy says. Raises Conflict."""
    if promotion.stands_on != (last.revision if last else 0):
        raise Stale(
            f"The stage is not at revision {promotion.stands_on} any more.",
            expected=promotion.stands_on,
            current=told(last),
        )
    version = tx.models.version(promotion.model, promotion.version)
    if version.digest != promotion.digest:
        raise DigestChanged(f"Version {version.version} has other bytes now.", digest=version.digest)
    check_not_withdrawn(version)
    requester = tokens.get(promotion.requested_by_id)
    if requester is not None and requester.revoked_at is not None:
        raise RequesterRevoked(f"The token of {promotion.requested_by!r}, who asked for it, was revoked.")
    return version


def reject(tx: Transaction, clock: Clock, by: Principal, promotion_id: str, comment: str = "") -> Promotion:
    """Raises NotFound, NotAllowed, PromotionClosed."""
    promotion, now = _opened(tx, clock, by, promotion_id, "approve")
    rejection = _decision(by, now, promotion, Decision.REJECTED, comment, policy_of(tx, promotion.place))
    tx.promotions.approve(promotion.id, rejection)
    rejected = replace(
        promotion,
        state=PromotionState.REJECTED,
        decided_at=now,
        approvals=(*promotion.approvals, rejection),
    )
    tx.promotions.decide(rejected)
    _record_decision(tx, by, now, "promotion.rejected", rejected, comment)
    return rejected


def cancel(tx: Transaction, clock: Clock, by: Principal, promotion_id: str, comment: str = "") -> Promotion:
    """Raises NotFound, NotAllowed, PromotionClosed."""
    promotion, now = _opened(tx, clock, by, promotion_id, "promote")
    cancelled = replace(promotion, state=PromotionState.CANCELLED, decided_at=now)
    tx.promotions.decide(cancelled)
    _record_decision(tx, by, now, "promotion.cancelled", cancelled, comment)
    return cancelled


def expire_promotions(store: RegistryStore, clock: Clock) -> int:
    """Write down which pending promotions' time is over; answers with how many."""
    now = clock()
    with store.transaction() as tx:
        overdue = tx.promotions.overdue(now)
    # Each in a transaction of its own: the places are not locked, and two rows at once could wait in a circle.
    return sum(_expire(store, promotion.seen(now), now) for promotion in overdue)


def _expire(store: RegistryStore, expired: Promotion, now: datetime) -> bool:
    """Whether it was still pending."""
    try:
        with store.transaction() as tx:
            tx.promotions.decide(expired)
            record_promotion(tx, WORKER, now, "promotion.expired", expired)
    except Conflict:
        return False
    return True


def _opened(tx: Transaction, clock: Clock, by: Principal, promotion_id: str, action: str) -> tuple[Promotion, datetime]:
    """The pending promotion with its place locked. Raises NotFound, NotAllowed, PromotionClosed."""
    found = tx.promotions.get(promotion_id)
    by.require(Scope(action, found.environment))
    _check_open(found.seen(clock()))  # also: its stage may be gone, and cannot be locked
    tx.stages.lock([found.place])
    now = clock()
    promotion = tx.promotions.get(promotion_id).seen(now)
    _check_open(promotion)
    return promotion, now


def _check_open(promotion: Promotion) -> None:
    if promotion.state is not PromotionState.PENDING:
        raise PromotionClosed(f"The promotion is {promotion.state} already.", state=promotion.state.value)


def _decision(
    by: Principal, now: datetime, promotion: Promotion, decision: Decision, comment: str, policy: Policy
) -> Approval:
    return Approval(
        approver_id=by.token_id,
        approver=by.name,
        digest=promotion.digest,
        decision=decision,
        comment=comment,
        at=now,
        expires_at=now + approval_lifetime(policy),
    )


def _usable(tokens: Mapping[str, Token], approval: Approval, now: datetime) -> bool:
    token = tokens.get(approval.approver_id)
    return token is not None and token.usable(now)


def _given(approval: Approval, tokens: Mapping[str, Token], now: datetime) -> Approved:
    return Approved(
        by_id=approval.approver_id,
        by=approval.approver,
        digest=approval.digest,
        at=approval.at,
        expires_at=approval.expires_at,
        revoked=not _usable(tokens, approval, now),
    )


def _record_decision(
    tx: Transaction, by: Principal, now: datetime, action: str, promotion: Promotion, comment: str
) -> None:
    after = {
        "promotion": promotion.id,
        "version": promotion.version,
        "digest": promotion.digest,
        "comment": comment,
    }
    record(tx, promotion_changed(action, by, promotion, after), now)
