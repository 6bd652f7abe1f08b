"""kill -9 of the process that receives an import, at every step."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.domain.importing import ImportState
from service.stores import tables as t
from service.usecases.manage_tokens import create_token
from tests.conftest import export
from tests.crash.conftest import MakePlace, Place
from tests.crash.faults import points
from tests.crash.invariants import unsettled

EXPORT = "mlflow317-tool120-model-dummy"
PATH = "/v1/workspaces/dev/imports"


@pytest.mark.parametrize("between", ["other archives", "cancels"])
def test_killed_at_every_step_of_a_request(make_place: MakePlace, between: str) -> None:
    """Either the import is there, whole and queued, or nothing of it is seen; sent again, it is the same one."""
    whole = make_place()
    token = _token(whole)
    sent = whole.processes.request(None, PATH, export(EXPORT), token)
    assert not sent.end()
    whole.finish()
    expected = whole.check()
    place = make_place()
    token = _token(place)
    plan = points(sent.steps())
    for number, point in enumerate(plan):
        # After the end of a tar.gz nothing is allowed but zeros.
        body = export(EXPORT) + (bytes(1024 * number) if between == "other archives" else b"")
        assert place.processes.request(point, PATH, body, token).end(), point
        assert unsettled(place.engine) == []
        assert not place.processes.request(None, PATH, body, token).end()
        assert _open_imports(place) == (1 if between == "cancels" else number + 1)
        if between == "cancels" and point != plan[-1]:
            _cancel(place)
    assert len(plan) >= 12
    place.finish()
    found = place.check()
    assert found["runs"] == expected["runs"]
    assert found["objects"] == expected["objects"]


def _open_imports(place: Place) -> int:
    with place.engine.connect() as connection:
        live = sa.select(sa.func.count()).where(t.imports.c.state == ImportState.RECEIVED)
        return connection.scalar(live) or 0


def _cancel(place: Place) -> None:
    """So that the same archive is taken in once more; the job stays."""
    with place.parts.store.transaction() as tx:
        (received,) = [import_ for import_ in tx.imports.list("dev", 100, None) if not import_.state.final]
        assert tx.imports.finish(received.id, ImportState.CANCELLED, place.parts.clock())


def _token(place: Place) -> str:
    return create_token(place.parts.store, place.parts.clock, OPERATOR, "test", ["admin"], None)[1]
