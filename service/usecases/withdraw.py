"""Take a bad version out of every stage of every environment at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from service.domain.audit import Change
from service.domain.errors import Withdrawn
from service.domain.history import ChangeKind, Transition
from service.domain.identity import Principal
from service.domain.model import ModelVersion, Withdrawal
from service.domain.promotion import Promotion, PromotionState
from service.usecases.change_stage import Wanted, change_stage, record_promotion, told_problem
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record
from service.usecases.roll_back import before

Then = Literal["fallback", "empty"]


@dataclass(frozen=True)
class Outcome:
    """The version with its mark, the changes of stages, and the promotions that were refused for it."""

    version: ModelVersion
    changes: tuple[Transition, ...]
    refused: tuple[Promotion, ...]


def withdraw(
    tx: Transaction, clock: Clock, by: Principal, model: str, version: int, reason: str, then: Then
) -> Outcome:
    """Mark the version and empty its stages, or let them fall back to what was live before, whatever rules say.

    A freeze does not hold it up. One that is withdrawn already keeps its mark. Raises NotFound for model or version.
    """
    tx.stages.lock_model(model)
    now = clock()
    marked = tx.models.version(model, version)
    if marked.withdrawn is None:
        marked = tx.models.withdraw(model, version, Withdrawal(reason, by.name, now))
        _record(tx, by, now, "version.withdrawn", marked, reason)
    waiting = tx.promotions.pending_of(model, version)
    refused = tuple(_refuse(tx, by, now, promotion, reason) for promotion in waiting)
    changes = []
    for place in tx.stages.holding(model, version):
        last = tx.stages.last(place)
        back = before(tx, place, last) if then == "fallback" else None
        wanted = Wanted(
            version=back.version if back else None,
            digest=back.digest if back else None,
            kind=ChangeKind.WITHDRAWAL,
            actor=by.name,
            actor_id=by.token_id,
            comment=reason,
            restores=back.revision if back else None,
        )
        changes.append(change_stage(tx, by, now, place, last, wanted))
    return Outcome(marked, tuple(changes), refused)


def reinstate(tx: Transaction, clock: Clock, by: Principal, model: str, version: int, reason: str) -> ModelVersion:
    """Take the mark away, and nothing else: no stage changes. Raises NotFound for model or version."""
    tx.stages.lock_model(model)
    now = clock()
    known = tx.models.version(model, version)
    if known.withdrawn is None:
        return known
    cleared = tx.models.withdraw(model, version, None)
    _record(tx, by, now, "version.reinstated", cleared, reason)
    return cleared


def _refuse(tx: Transaction, by: Principal, now: datetime, promotion: Promotion, reason: str) -> Promotion:
    why = Withdrawn(f"Version {promotion.version} was withdrawn: {reason}", version=promotion.version, reason=reason)
    refused = replace(promotion, state=PromotionState.REFUSED, decided_at=now, problem=told_problem(why))
    tx.promotions.decide(refused)
    record_promotion(tx, by, now, "promotion.refused", refused)
    return refused


def _record(tx: Transaction, by: Principal, now: datetime, action: str, version: ModelVersion, reason: str) -> None:
    after = {"version": version.version, "digest": version.digest, "reason": reason}
    record(tx, Change(action, by, model=version.model, subject=str(version.version), after=after), now)
