"""kill -9 of workers at every step of an import: the same rows and objects as without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from service.domain.importing import ImportState
from tests.conftest import export
from tests.crash.conftest import MakePlace, Place, Undisturbed
from tests.crash.faults import Point, points

IN_A_ROW = 12
"""Kills of one import, one after another; twenty are taken for a fault of the import itself."""

EXPORTS = {"mlflow222-tool120-experiment-iris": 60, "mlflow317-master-model-orders": 50}
"""With the least number of kills that each of them takes, at steps that those before it do not have."""


@pytest.mark.parametrize("name", EXPORTS)
def test_killed_at_every_step(name: str, make_place: MakePlace, undisturbed: Callable[[str], Undisturbed]) -> None:
    before = list(EXPORTS)[: list(EXPORTS).index(name)]
    known = {step for earlier in before for step in undisturbed(earlier).steps}
    left = [point for point in points(undisturbed(name).steps) if point[0] not in known]
    kills = 0
    while left:
        place = make_place()
        import_id = place.receive(export(name))
        # Spread over the whole import, and each one later than the one before.
        killed = _kill(place, left[:: -(-len(left) // IN_A_ROW)])
        assert killed, f"none of {left} is ever reached"
        kills += len(killed)
        left = [point for point in left if point not in killed]
        place.finish(2)
        assert place.state(import_id) is ImportState.DONE
        assert place.check() == undisturbed(name).contents
    assert kills >= EXPORTS[name]


def test_an_import_that_ends_its_workers_is_given_up(
    make_place: MakePlace, undisturbed: Callable[[str], Undisturbed]
) -> None:
    name = next(iter(EXPORTS))
    place = make_place()
    import_id = place.receive(export(name))
    steps = points(undisturbed(name).steps)
    half_way = steps[len(steps) // 2]
    assert place.kill(half_way)
    with place.engine.begin() as connection:  # as if eighteen more had ended before
        assert connection.scalar(sa.text("UPDATE jobs.procrastinate_jobs SET priority = -18 RETURNING attempts")) == 0
    assert place.kill(half_way), "the twentieth worker got it, too"
    place.finish()
    assert place.state(import_id) is ImportState.FAILED
    assert (place.get(import_id).problem or {})["detail"] == "The import ended 20 workers; their logs say why."


def _kill(place: Place, plan: list[Point]) -> list[Point]:
    """Those of the points that were reached; once the import is done, some are not any more."""
    return [point for point in plan if place.kill(point)]
