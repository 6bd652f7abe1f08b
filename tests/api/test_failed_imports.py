"""An import that failed: tried again for as long as its archive is kept, or cancelled."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from service.domain.errors import Conflict, Unavailable
from service.domain.identity import OPERATOR
from service.domain.importing import ARCHIVE_KEPT
from service.usecases.end_import import retry_import
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.problems import problem


@pytest.fixture
def failed(places: FlaskClient, importer: Importer) -> str:
    """Its path."""
    sent = places.post("/v1/workspaces/dev/imports", data=ORDERS)
    importer.give_up(sent.get_json()["id"], Unavailable("The database does not answer.", part="postgres"))
    return sent.headers["Location"]


def test_long_ago(places: FlaskClient, parts: Parts, failed: str) -> None:
    later = parts.clock() + ARCHIVE_KEPT
    with pytest.raises(Conflict, match="14 days ago"):
        retry_import(parts.store, lambda: later, OPERATOR, failed.rpartition("/")[2])
    assert places.post(f"{failed}/retry").status_code == 202


def test_cancelled(places: FlaskClient, failed: str) -> None:
    cancelled = places.delete(failed).get_json()
    assert (cancelled["state"], cancelled["problem"]) == ("cancelled", None)
    assert places.delete(failed).get_json() == cancelled
    problem(places.post(f"{failed}/retry"), 409, "conflict", state="cancelled")
