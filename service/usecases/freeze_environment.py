"""Stop every change of an environment's stages for a while."""

from __future__ import annotations

from datetime import datetime

from service.domain.audit import Change
from service.domain.environment import Environment, Freeze
from service.domain.errors import InvalidInput
from service.domain.identity import Principal
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record


def freeze(
    tx: Transaction, clock: Clock, by: Principal, environment: str, reason: str, until: datetime | None
) -> Environment:
    """Freeze it, or change the freeze it has. Raises NotFound, InvalidInput for an `until` that is over."""
    now = clock()
    if until is not None and until <= now:
        raise InvalidInput("`until` must lie in the future.", field="until")
    tx.environments.freeze(environment, Freeze(reason, by.name, now, until))
    after = {"reason": reason, "until": until and until.isoformat()}
    record(tx, Change("environment.frozen", by, environment=environment, after=after), now)
    return tx.environments.get(environment)


def unfreeze(tx: Transaction, clock: Clock, by: Principal, environment: str) -> Environment:
    """Lift the freeze, if there is one. Raises NotFound."""
    known = tx.environments.get(environment)
    if known.freeze is None:
        return known
    tx.environments.freeze(environment, None)
    before = {"reason": known.freeze.reason, "until": known.freeze.until and known.freeze.until.isoformat()}
    record(tx, Change("environment.unfrozen", by, environment=environment, before=before), clock())
    return tx.environments.get(environment)
