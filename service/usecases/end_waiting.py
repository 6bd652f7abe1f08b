"""End what waits for approvals in a stage that is no more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from service.domain.identity import Principal
from service.domain.promotion import PromotionState
from service.usecases.change_stage import supersede
from service.usecases.ports import Transaction

PAGE = 100


def end_waiting(
    tx: Transaction, by: Principal, now: datetime, environment: str, why: str, kept: Collection[str] = ()
) -> None:
    """Supersede the environment's pending promotions, but those into the stages that are kept.

    The environment's row is written before: nobody asks for another promotion until the transaction ends.
    """
    before = None
    while waiting := tx.promotions.list(environment, PromotionState.PENDING, now, PAGE, before):
        for promotion in waiting:
            if promotion.stage not in kept:
                supersede(tx, by, now, promotion, why)
        before = waiting[-1].id
