"""What MLflow calls a transition: a version goes into a stage of one environment, or leaves them."""

from __future__ import annotations

from service.domain.environment import Environment, Place
from service.domain.errors import InvalidInput
from service.domain.history import UNASKED
from service.domain.identity import Principal
from service.domain.promotion import Promotion
from service.usecases.change_stage import empty_stage
from service.usecases.ports import Clock, Transaction
from service.usecases.promote import Request, promote

NONE = "none"
ARCHIVED = "archived"
COMMENT = "by MLflow's transition-stage"


def transition_version(
    tx: Transaction, clock: Clock, by: Principal, environment: Environment, model: str, version: int, stage: str
) -> Promotion | None:
    """The promotion, applied or pending; None when the version only left stages.

    Case does not matter in `stage`, as in MLflow. `None` takes the version out of every stage of the environment, and
    `Archived` out of every other one, which is the same where there is no such stage; any other stage is one more that
    it is in.

    Raises InvalidInput for a stage that the environment does not have, and what `promote` raises.
    """
    named = {name.casefold(): name for name in environment.stages}
    wanted = stage.casefold()
    if wanted not in (NONE, ARCHIVED, *named):
        raise InvalidInput(
            f"Environment {environment.name!r} has no stage {stage[:80]!r}; it has {', '.join(environment.stages)}.",
            field="stage",
        )
    tx.models.version(model, version)
    places = [Place(environment.name, model, name) for name in environment.stages]
    tx.stages.lock(places)  # all at once: whoever locks several takes them in one order
    if wanted in (NONE, ARCHIVED):
        for place in places:
            last = tx.stages.last(place)
            if last is not None and last.version == version and place.stage != named.get(wanted):
                empty_stage(tx, clock, by, place, COMMENT, UNASKED)
    if wanted not in named:
        return None
    place = Place(environment.name, model, named[wanted])
    return promote(tx, clock, by, Request(place, version=version, comment=COMMENT))
