"""Routes of promotions: a version is asked for, approved, and goes into a stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from werkzeug.http import parse_etags

from service.api import payloads as p
from service.api import promotion_payloads as pp
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.api.document import problems
from service.api.once import once
from service.api.paths import STAGE
from service.api.problem_documents import TYPE
from service.api.problems import problem_response
from service.domain.environment import Place
from service.domain.history import Precondition
from service.domain.identity import Scope
from service.domain.promotion import Promotion, PromotionState
from service.usecases.decide_promotion import approve, cancel, reject
from service.usecases.ports import Transaction
from service.usecases.promote import Request, promote
from service.usecases.read_history import READ
from service.usecases.roll_back import roll_back
from service.wiring import Parts

PROMOTIONS = Tag(name="promotions", description="How versions get into stages: rules, approvals, rollback")
ONE = "/promotions/<promotion_id>"
ASKED: dict[int, Any] = {
    200: pp.PromotionOut,
    201: pp.PromotionOut,
    202: pp.PromotionOut,
    **problems(409, 412, 413, 415),
}
DECIDED: dict[int, Any] = {200: pp.PromotionOut, **problems(409, 413, 415)}


def add_promotions(api: APIBlueprint, parts: Parts) -> None:
    @api.post("/environments/<environment>/models/<model>/promotions", tags=[PROMOTIONS], responses=ASKED)
    @scoped("promote", parameter="environment")
    def create_promotion(
        path: pp.PromotionsPath, query: pp.DryRunQuery, header: pp.ChangeHeaders, body: pp.PromotionIn
    ) -> Response:
        """Put a version into a stage: 201 when it is there, 202 when approvals are needed first."""
        place = Place(path.environment, path.model, body.stage)
        wanted = Request(
            place,
            version=body.version,
            digest=body.digest,
            comment=body.comment,
            precondition=precondition(header.if_match, body.expected),
            over_freeze=body.override_freeze,
        )
        work = _asking(query.dry_run, lambda tx: promote(tx, parts.clock, principal(), wanted))
        return once(parts, header.idempotency_key, body, work, dry_run=query.dry_run)

    @api.post(f"{STAGE}/rollback", tags=[PROMOTIONS], responses=ASKED)
    @scoped("promote", parameter="environment")
    def roll_back_stage(
        path: p.StagePath, query: pp.DryRunQuery, header: pp.ChangeHeaders, body: pp.RollbackIn
    ) -> Response:
        """Go back to what was live before, or to a revision; once more goes further back."""

        def work(tx: Transaction) -> Promotion:
            return roll_back(
                tx,
                parts.clock,
                principal(),
                Place(path.environment, path.model, path.stage),
                body.to_revision,
                body.comment,
                precondition(header.if_match, body.expected),
                over_freeze=body.override_freeze,
            )

        return once(parts, header.idempotency_key, body, _asking(query.dry_run, work), dry_run=query.dry_run)

    @api.get("/environments/<environment>/promotions", tags=[PROMOTIONS], responses={200: pp.PromotionsOut})
    @scoped(*READ, parameter="environment")
    def list_promotions(path: p.EnvironmentPath, query: pp.PromotionsQuery) -> Response:
        """Promotions of an environment, newest first."""
        state = None if query.state is None else PromotionState(query.state)
        with parts.store.transaction() as tx:
            tx.environments.get(path.environment)
            found = tx.promotions.list(path.environment, state, parts.clock(), query.limit, query.before)
        return answer(pp.PromotionsOut(promotions=[shown(promotion) for promotion in found]))

    @api.get(ONE, tags=[PROMOTIONS], responses={200: pp.PromotionOut})
    @authenticated()
    def get_promotion(path: pp.PromotionPath) -> Response:
        """One promotion with its approvals."""
        with parts.store.transaction() as tx:
            promotion = tx.promotions.get(path.promotion_id).seen(parts.clock())
        principal().require(*(Scope(action, promotion.environment) for action in READ))
        return answer(shown(promotion))


def add_decisions(api: APIBlueprint, parts: Parts) -> None:
    @api.post(f"{ONE}/approve", tags=[PROMOTIONS], responses=DECIDED)
    @authenticated()
    def approve_promotion(path: pp.PromotionPath, header: pp.KeyHeaders, body: pp.ApprovalIn) -> Response:
        """Approve it; the last approval that is needed puts the version into the stage."""

        def work(tx: Transaction) -> Response:
            return _decided(approve(tx, parts.clock, principal(), path.promotion_id, body.comment, body.digest))

        return once(parts, header.idempotency_key, body, work)

    @api.post(f"{ONE}/reject", tags=[PROMOTIONS], responses=DECIDED)
    @authenticated()
    def reject_promotion(path: pp.PromotionPath, header: pp.KeyHeaders, body: pp.DecisionIn) -> Response:
        """Reject it: one rejection ends it."""

        def work(tx: Transaction) -> Response:
            return _decided(reject(tx, parts.clock, principal(), path.promotion_id, body.comment))

        return once(parts, header.idempotency_key, body, work)

    @api.post(f"{ONE}/cancel", tags=[PROMOTIONS], responses=DECIDED)
    @authenticated()
    def cancel_promotion(path: pp.PromotionPath, header: pp.KeyHeaders, body: pp.DecisionIn) -> Response:
        """Take it back, as whoever may promote there."""

        def work(tx: Transaction) -> Response:
            return _decided(cancel(tx, parts.clock, principal(), path.promotion_id, body.comment))

        return once(parts, header.idempotency_key, body, work)


def precondition(if_match: str | None, expected: int | None = None) -> Precondition:
    """Of the header and the body's field. Weak tags match nothing (RFC 9110)."""
    if if_match is None:
        return Precondition(expected)
    tags = parse_etags(if_match)
    return Precondition(expected, frozenset({"*"} if tags.star_tag else tags.as_set()))


def shown(promotion: Promotion, *, dry_run: bool = False) -> pp.PromotionOut:
    fields = {**vars(promotion), "needed_approvals": promotion.needed, "dry_run": dry_run}
    fields["id"] = None if dry_run else promotion.id or None
    fields["approvals"] = [pp.ApprovalOut.model_validate(approval) for approval in promotion.approvals]
    return pp.PromotionOut(**fields)


def asked(promotion: Promotion, *, dry_run: bool = False) -> Response:
    """The answer to a request for a change: 201 applied, 202 pending, 200 nothing to do or a dry run."""
    status = 202 if promotion.state is PromotionState.PENDING else 201
    if dry_run or not promotion.id:
        return answer(shown(promotion, dry_run=dry_run))
    return answer(shown(promotion), status, {"Location": f"/v1/promotions/{promotion.id}"})


def _asking(dry_run: bool, work: Callable[[Transaction], Promotion]) -> Callable[[Transaction], Response]:
    return lambda tx: asked(work(tx), dry_run=dry_run)


def _decided(promotion: Promotion) -> Response:
    """A promotion that was refused with its last approval is a problem to the approver, though it is written down."""
    if promotion.state is not PromotionState.REFUSED:
        return answer(shown(promotion))
    told = dict(promotion.problem or {})
    document = {"type": TYPE + str(told.pop("slug")), "title": told.pop("title"), "status": 409, **told}
    return problem_response({**document, "promotion": promotion.id, "state": promotion.state})
