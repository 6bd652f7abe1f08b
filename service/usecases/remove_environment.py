"""Remove an environment, and with it the promotions that wait in it."""

from __future__ import annotations

from service.domain.identity import Principal
from service.usecases.end_waiting import end_waiting
from service.usecases.ports import Clock, Transaction


def remove_environment(tx: Transaction, clock: Clock, by: Principal, name: str) -> None:
    """Raises NotFound, InUse when a stage holds a version.

    An environment of the same name made later is not to take over what was asked for here.
    """
    tx.environments.delete(name)  # first: nobody asks for another promotion from here on
    end_waiting(tx, by, clock(), name, "The environment was removed.")
