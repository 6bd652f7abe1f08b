"""kill -9 of the process that receives an import, at every step."""

from __future__ import annotations

import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.stores import tables as t
from service.usecases.manage_tokens import create_token
from tests.conftest import export
from tests.crash.conftest import MakePlace, Place
from tests.crash.faults import points

EXPORT = "mlflow317-tool120-model-dummy"
PATH = "/v1/workspaces/dev/imports"


def test_killed_at_every_step_of_a_request(make_place: MakePlace) -> None:
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
        body = export(EXPORT) + bytes(1024 * number)  # after the end of a tar.gz nothing is allowed but zeros
        assert place.processes.request(point, PATH, body, token).end(), point
        assert not place.processes.request(None, PATH, body, token).end()
    with place.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.imports)) == len(plan)
    assert len(plan) >= 12
    place.finish()
    found = place.check()
    assert found["runs"] == expected["runs"]
    assert found["objects"] == expected["objects"]


def _token(place: Place) -> str:
    return create_token(place.parts.store, place.parts.clock, OPERATOR, "test", ["admin"], None)[1]
