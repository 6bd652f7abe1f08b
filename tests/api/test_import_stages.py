"""The stages of a source, applied by an import: for who may promote at that moment, and in line with all others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.errors import Unavailable
from service.domain.model import Withdrawal
from service.stores import tables
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS, Headers
from tests.api.problems import problem
from tests.api.promoting import person
from tests.small_exports import RUN, packed, registered_model, run, version


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


def test_an_import_and_a_withdrawal_wait_for_each_other_one_way_only(
    filled: FlaskClient, parts: Parts, importer: Importer, engine: sa.Engine
) -> None:
    changed = packed(
        {
            "model.json": registered_model(version("1", current_stage="Production", description="better")),
            f"{RUN}/run.json": run(),
            f"{RUN}/artifacts/model/MLmodel": b"flavors: {python_function: {loader_module: mlflow.sklearn}}\n",
            f"{RUN}/artifacts/model/model.pkl": b"42",
        }
    )
    sent = filled.post("/v1/workspaces/dev/imports?environment=prod", data=changed).get_json()["id"]
    with ThreadPoolExecutor(1) as threads:
        with parts.store.transaction() as tx:
            tx.stages.lock_model("orders")
            running = threads.submit(importer.run, sent)
            until_somebody_waits(engine)
            tx.models.withdraw("orders", 1, Withdrawal("biased", "test", parts.clock()))
        assert running.result() == "done"
    found = filled.get("/v1/models/orders/versions/1").get_json()
    assert (found["description"], found["withdrawn"]["reason"]) == ("better", "biased")


def until_somebody_waits(engine: sa.Engine) -> None:
    """For an advisory lock of this database."""
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE locktype = 'advisory' AND NOT granted AND d.datname = current_database()"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(600):
            if connection.scalar(waiting):
                return
            time.sleep(0.05)
    raise AssertionError("nobody waits")
