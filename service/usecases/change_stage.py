"""The one way in which a stage changes, whatever the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.domain.audit import Change
from service.domain.environment import Place
from service.domain.errors import Frozen, RegistryError
from service.domain.history import ChangeKind, Precondition, Transition, told
from service.domain.identity import ADMIN, Principal
from service.domain.promotion import Promotion, PromotionState
from service.usecases.policy_freezes import check_windows
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record


@dataclass(frozen=True)
class Wanted:
    """What a stage is to hold, and why; `version` None empties it. The actor is who asked for it."""

    version: int | None
    digest: str | None
    kind: ChangeKind
    actor: str
    actor_id: str
    comment: str
    promotion_id: str | None = None
    restores: int | None = None
    over_freeze: bool = False


def change_stage(
    tx: Transaction, by: Principal, now: datetime, place: Place, last: Transition | None, wanted: Wanted
) -> Transition:
    """Make the change with the next revision; the place is locked, and `last` is its last change.

    A promotion that waits for approvals of another change was asked for at a revision that is gone: it ends here.
    """
    transition = Transition(
        *place,
        revision=last.revision + 1 if last else 1,
        version=wanted.version,
        digest=wanted.digest,
        previous_version=last.version if last else None,
        previous_digest=last.digest if last else None,
        kind=wanted.kind,
        promotion_id=wanted.promotion_id,
        restores=wanted.restores,
        over_freeze=wanted.over_freeze,
        actor=wanted.actor,
        actor_id=wanted.actor_id,
        comment=wanted.comment,
        at=max(now, last.at) if last else now,  # clocks differ; the order of revisions is the order of times
    )
    tx.stages.change(transition)
    waiting = tx.promotions.pending(place)
    if waiting is not None and waiting.id != wanted.promotion_id:
        supersede(tx, by, now, waiting, f"The stage changed: it is at revision {transition.revision} now.")
    after = {
        **told(transition),
        "kind": transition.kind,
        "promotion": transition.promotion_id,
        "restores": transition.restores,
        "over_freeze": transition.over_freeze,
        "comment": transition.comment,
    }
    record(
        tx,
        Change(
            "stage.changed",
            by,
            environment=place.environment,
            model=place.model,
            subject=place.stage,
            before=told(last),
            after=after,
        ),
        now,
    )
    return transition


def supersede(tx: Transaction, by: Principal, now: datetime, waiting: Promotion, why: str) -> None:
    """End a pending promotion, because what it was asked for at is gone."""
    problem = {"slug": "superseded", "detail": why}
    ended = replace(waiting, state=PromotionState.SUPERSEDED, decided_at=now, problem=problem)
    tx.promotions.decide(ended)
    record_promotion(tx, by, now, "promotion.superseded", ended)


def record_promotion(tx: Transaction, by: Principal, now: datetime, action: str, promotion: Promotion) -> None:
    """`action` is `promotion.<past participle>`."""
    after = {
        "promotion": promotion.id,
        "kind": promotion.kind,
        "stage": promotion.stage,
        "version": promotion.version,
        "digest": promotion.digest,
        "state": promotion.state,
        "revision": promotion.revision,
        "requested_by": promotion.requested_by,
        "needed_approvals": promotion.needed,
        "problem": promotion.problem,
    }
    record(tx, promotion_changed(action, by, promotion, after), now)


def promotion_changed(action: str, by: Principal, promotion: Promotion, after: Mapping[str, Any]) -> Change:
    return Change(
        action,
        by,
        environment=promotion.environment,
        model=promotion.model,
        subject=promotion.stage,
        after=after,
    )


def check_freeze(tx: Transaction, by: Principal, now: datetime, environment: str, *, over: bool = False) -> None:
    """Raises Frozen when a freeze holds, unless the change goes over it: NotAllowed for who is no administrator."""
    if over:
        by.require(ADMIN)
        return
    freeze = tx.environments.get(environment).freeze
    if freeze is not None and freeze.holds(now):
        until = freeze.until and freeze.until.isoformat()
        raise Frozen(
            f"No stage of environment {environment!r} changes {f'until {until}' if until else 'for now'}: "
            f"{freeze.reason}",
            reason=freeze.reason,
            by=freeze.by,
            until=until,
        )


def empty_stage(
    tx: Transaction, clock: Clock, by: Principal, place: Place, comment: str, precondition: Precondition
) -> Transition:
    """Take the version out. Raises NotFound when none is in, Stale, PreconditionFailed, Frozen, PolicyRefused."""
    tx.stages.lock([place])
    now = clock()
    last = tx.stages.last(place)
    precondition.check(last)
    if last is None or last.version is None:
        tx.stages.current(*place)  # says what is absent
    check_freeze(tx, by, now, place.environment)
    check_windows(tx, now, place)
    wanted = Wanted(None, None, ChangeKind.EMPTIED, by.name, by.token_id, comment)
    return change_stage(tx, by, now, place, last, wanted)


def told_problem(error: RegistryError) -> dict[str, object]:
    """An error as a promotion keeps it."""
    return {"slug": error.slug, "title": error.title, "detail": error.detail, **error.where}
