"""Go back to what a stage held before."""

from __future__ import annotations

from service.domain.environment import Place
from service.domain.errors import Conflict, NothingBefore
from service.domain.history import UNASKED, ChangeKind, Precondition, Transition
from service.domain.identity import Principal
from service.domain.promotion import Promotion
from service.usecases.ports import Clock, Transaction
from service.usecases.promote import Request, bring_in


def roll_back(
    tx: Transaction,
    clock: Clock,
    by: Principal,
    place: Place,
    to_revision: int | None = None,
    comment: str = "",
    precondition: Precondition = UNASKED,
    over_freeze: bool = False,
) -> Promotion:
    """Promote what the revision held, or without one what was there before and is not withdrawn.

    Raises NothingBefore, NotFound(kind="revision"), Conflict for a revision that left the stage empty, and whatever
    `promote` raises.
    """
    tx.stages.lock([place])
    now = clock()
    tx.models.get(place.model)
    last = tx.stages.last(place)
    precondition.check(last)
    back = before(tx, place, last) if to_revision is None else tx.stages.change_at(place, to_revision)
    if back is None:
        raise NothingBefore(f"Nothing that is not withdrawn was in stage {place.stage!r} before.")
    if back.version is None:
        raise Conflict(f"Revision {back.revision} left the stage empty.", field="to_revision")
    request = Request(
        place,
        comment=comment,
        over_freeze=over_freeze,
        kind=ChangeKind.ROLLBACK,
        restores=back.revision,
    )
    return bring_in(tx, by, now, request, tx.models.version(place.model, back.version), last)


def before(tx: Transaction, place: Place, last: Transition | None) -> Transition | None:
    """The change that put in what was live before; the place is locked.

    What a rollback or a withdrawal brought back counts as being where it was: going back again goes further back,
    and never forward to what was just left.
    """
    if last is None:
        return None
    origin = last
    while origin.restores is not None:
        origin = tx.stages.change_at(place, origin.restores)
    return tx.stages.restorable(place, origin.revision, last.version)
