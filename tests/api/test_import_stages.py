"""The stages of a source, applied by an import: only for who may promote at that moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.errors import Unavailable
from service.stores import tables
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS, Headers
from tests.api.problems import problem
from tests.api.promoting import person


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_an_import_promotes_only_for_who_still_may(
    filled: FlaskClient, parts: Parts, run_imports: Callable[[], int], engine: sa.Engine, ended: str
) -> None:
    sender, headers = person(parts, "ci", "import:dev", "promote:qa")
    sent = filled.post("/v1/workspaces/dev/imports?environment=qa", data=ORDERS, headers=dict(headers))
    if ended == "revoked":
        assert filled.delete(f"/v1/tokens/{sender}").status_code == 200
    else:
        with engine.begin() as connection:
            connection.execute(
                sa.update(tables.tokens).where(tables.tokens.c.id == sender).values(expires_at=sa.func.now())
            )
    assert run_imports() == 1
    done = filled.get(sent.headers["Location"]).get_json()
    assert done["state"] == "done", "the rest of the import is a matter of its workspace"
    assert [row["state"] for row in done["report"]["stages"]] == ["refused"]
    assert done["report"]["stages"][0]["problem"]["type"] == "urn:model-registry:problem:requester-revoked"
    assert filled.get("/v1/environments/qa/models/orders/stages/Production").status_code == 404


def test_retrying_an_import_takes_the_right_to_promote(
    filled: FlaskClient, parts: Parts, importer: Importer, caller: Callable[[str], Headers]
) -> None:
    sent = filled.post("/v1/workspaces/dev/imports?environment=qa", data=ORDERS)
    importer.give_up(sent.get_json()["id"], Unavailable("The database does not answer.", part="postgres"))
    retry = f"{sent.headers['Location']}/retry"
    problem(filled.post(retry, headers=dict(caller("import:dev"))), 403, "not-allowed", needed="promote:qa")
    both = person(parts, "dev", "import:dev", "promote:qa")[1]
    assert filled.post(retry, headers=dict(both)).status_code == 202
