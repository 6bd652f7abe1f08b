"""Remove an environment, and with it the promotions that wait in it."""

from __future__ import annotations

from service.domain.identity import Principal
from service.domain.promotion import PromotionState
from service.usecases.change_stage import supersede
from service.usecases.ports import Clock, Transaction

PAGE = 100


def remove_environment(tx: Transaction, clock: Clock, by: Principal, name: str) -> None:
    """Raises NotFound, InUse when a stage holds a version.

    An environment of the same name made later is not to take over what was asked for here.
    """
    tx.environments.delete(name)  # first: nobody asks for another promotion from here on
    now = clock()
    while waiting := tx.promotions.list(name, PromotionState.PENDING, now, PAGE, None):
        for promotion in waiting:
            supersede(tx, by, now, promotion, "The environment was removed.")
