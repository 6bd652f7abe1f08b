"""Imports: waited for, cancelled, failed, tried again; a crash leaves nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.errors import Unavailable
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.importing import IMPORTS, archives, received, worker
from tests.api.matching import NOW
from tests.api.problems import problem
from tests.api.traces import traces
from tests.small_exports import packed


def test_waiting_for_the_result(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    with worker(run_imports):
        waited = places.post(IMPORTS, data=ORDERS, headers={"Prefer": "respond-async, wait=60"})
    assert waited.status_code == 201
    assert waited.get_json()["state"] == "done"
    assert places.get(waited.headers["Location"]).get_json() == waited.get_json()


def test_waiting_ends(places: FlaskClient) -> None:
    for prefer, seconds in (("wait=0", 0.0), ("wait=1", 1.0), ("wait=never", 0.0), ("return=minimal", 0.0), ("", 0.0)):
        begun = time.monotonic()
        response = places.post(IMPORTS, data=ORDERS, headers={"Prefer": prefer})
        assert (response.status_code, response.get_json()["state"]) == (202, "received")
        assert seconds <= time.monotonic() - begun < seconds + 5


def test_waiting_for_a_refusal(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    archive = packed({"readme.txt": b"hello"})
    with worker(run_imports):
        refused = places.post(IMPORTS, data=archive, headers={"Prefer": "wait=60"})
    document = problem(refused, 422, "export-refused")
    assert refused.headers["Location"] == f"/v1/imports/{document['import']}"
    shown = places.get(refused.headers["Location"])
    assert shown.status_code == 200
    body = shown.get_json()
    assert (body["state"], body["report"]) == ("refused", None)
    assert {**body["problem"], "import": body["id"]} == document
    again = places.post(IMPORTS, data=archive)
    assert again.status_code == 202, "what was refused may be sent again"
    assert again.get_json()["id"] != body["id"]


def test_waiting_for_what_is_cancelled(places: FlaskClient) -> None:
    def cancel() -> None:
        while not (listed := other.get(IMPORTS).get_json()["imports"]):
            time.sleep(0.05)
        other.delete(f"/v1/imports/{listed[0]['id']}")

    other = places.application.test_client()
    other.environ_base.update(places.environ_base)
    thread = threading.Thread(target=cancel)
    thread.start()
    response = places.post(IMPORTS, data=ORDERS, headers={"Prefer": "wait=60"})
    thread.join()
    document = problem(response, 409, "conflict")
    assert places.get(f"/v1/imports/{document['import']}").get_json()["state"] == "cancelled"


def test_cancelling(places: FlaskClient, parts: Parts, importer: Importer, run_imports: Callable[[], int]) -> None:
    sent = places.post(IMPORTS, data=ORDERS)
    cancelled = places.delete(sent.headers["Location"])
    assert cancelled.status_code == 200
    assert cancelled.get_json() == received(id=sent.get_json()["id"], state="cancelled", finished_at=NOW)
    assert places.delete(sent.headers["Location"]).get_json() == cancelled.get_json()
    assert run_imports() == 0
    assert importer.run(sent.get_json()["id"]) is None, "its job is still there"
    assert archives(parts) == []
    again = places.post(IMPORTS, data=ORDERS)
    assert again.get_json()["id"] != sent.get_json()["id"], "what was cancelled may be sent again"
    assert run_imports() == 1
    done = places.get(again.headers["Location"]).get_json()
    assert places.delete(again.headers["Location"]).get_json() == done, "what is final stays as it is"


def test_an_import_that_failed(places: FlaskClient, parts: Parts, importer: Importer) -> None:
    """After the last attempt: the archive stays for whoever looks into it, and the export may be sent again."""
    sent = places.post(IMPORTS, data=ORDERS)
    assert problem(places.post(f"{sent.headers['Location']}/retry"), 409, "conflict")["state"] == "received"
    importer.give_up(sent.get_json()["id"], Unavailable("The database does not answer.", part="postgres"))
    failed = places.get(sent.headers["Location"]).get_json()
    assert (failed["state"], failed["finished_at"], failed["report"]) == ("failed", NOW, None)
    assert failed["problem"] == {
        "type": "urn:model-registry:problem:unavailable",
        "title": "A needed part does not answer",
        "status": 503,
        "detail": "The database does not answer.",
        "part": "postgres",
    }
    assert importer.run(failed["id"]) is None
    assert archives(parts) == [f"imports/{failed['id']}/archive"]
    again = places.post(IMPORTS, data=ORDERS)
    assert again.get_json()["id"] != failed["id"]
    problem(places.post(f"{sent.headers['Location']}/retry"), 409, "conflict")
    places.delete(again.headers["Location"])
    retried = places.post(f"{sent.headers['Location']}/retry")
    assert (retried.status_code, retried.headers["Location"]) == (202, sent.headers["Location"])
    assert retried.get_json() == received(id=failed["id"])
    assert importer.run(failed["id"]) == "done"
    assert archives(parts) == [f"imports/{again.get_json()['id']}/archive"], "of the one whose job has not run yet"


def test_a_crash_leaves_nothing_that_is_seen(
    places: FlaskClient, importer: Importer, parts: Parts, monkeypatch: pytest.MonkeyPatch, engine: Any
) -> None:
    """The rows are the commit mark: before them only bytes are there, and the next attempt writes the same."""
    sent = places.post(IMPORTS, data=ORDERS)
    before = traces(engine, parts.objects).rows
    with monkeypatch.context() as patch:
        patch.setattr("service.usecases.run_import.Report.document", lambda _: sys.exit())
        with pytest.raises(SystemExit):
            importer.run(sent.get_json()["id"])
    assert {**traces(engine, parts.objects).rows, "registry.claims": 0} == before
    assert places.get("/v1/models").get_json() == {"models": []}
    assert importer.run(sent.get_json()["id"]) == "done"
    assert places.get(sent.headers["Location"]).get_json()["attempts"] == 2
    assert traces(engine, parts.objects).rows["registry.claims"] == 0
