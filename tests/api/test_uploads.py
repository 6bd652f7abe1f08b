"""Uploads by parts: begun, sent to the object store, completed once, ended, and distrusted."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.identity import OPERATOR
from service.domain.importing import ImportOptions
from service.domain.layout import archive_key
from service.domain.uploading import MAX_OPEN, MIN_PART, part_size
from service.settings import Settings
from service.stores import tables
from service.usecases.upload_archive import ArchiveUploads
from service.wiring import Parts
from service.worker import make_worker_app
from tests.api.conftest import ORDERS, Headers
from tests.api.importing import IMPORTS, NO_OPTIONS
from tests.api.matching import ID, NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN, model_export, packed, run

UPLOADS = "/v1/workspaces/dev/uploads"
GIB = 1024**3
OTHER = packed(model_export())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def large() -> bytes:
    """A bit over two parts, whose bytes do not compress."""
    content = random.Random(5).randbytes(2 * MIN_PART)
    return packed({f"{RUN}/run.json": run(), f"{RUN}/artifacts/weights.bin": content}, "w:")


def begin(client: FlaskClient, data: bytes, **announced: str) -> dict[str, Any]:
    answer = client.post(UPLOADS, json={"size": len(data), **announced})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.get_json()
    assert answer.headers["Location"] == f"{UPLOADS}/{document['id']}"
    return document


def send(data: bytes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        part = data[row["offset"] : row["offset"] + row["size"]]
        assert requests.put(row["url"], data=part, timeout=30).status_code == 200


def uploaded(client: FlaskClient, data: bytes, **announced: str) -> str:
    upload = begin(client, data, **announced)
    send(data, upload["urls"])
    return f"{UPLOADS}/{upload['id']}"


def uploads_of(parts: Parts, later: timedelta = timedelta()) -> ArchiveUploads:
    return ArchiveUploads(parts.store, parts.objects, parts.part_store, lambda: parts.clock() + later)


def test_parts_are_sent_and_imported(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    data = large()
    upload = begin(places, data)
    tail = len(data) - 2 * MIN_PART
    rows = [{"number": 1, "offset": 0, "size": MIN_PART}, {"number": 2, "offset": MIN_PART, "size": MIN_PART}]
    rows.append({"number": 3, "offset": 2 * MIN_PART, "size": tail})
    urls = upload.pop("urls")
    assert [{**row, "url": ""} for row in rows] == [{**row, "url": ""} for row in urls]
    assert upload.pop("expires_in") == 900
    expires = upload.pop("expires_at")
    assert upload == {
        "id": ID,
        "workspace": "dev",
        "state": "open",
        "size": len(data),
        "part_size": MIN_PART,
        "sha256": "",
        "created_by": "test",
        "created_at": NOW,
        "parts": [{**row, "there": False} for row in rows],
    }
    place = f"{UPLOADS}/{upload['id']}"
    send(data, urls[2:] + urls[:1])
    shown = places.get(place).get_json()
    assert shown == {**upload, "expires_at": expires, "parts": [{**row, "there": row["number"] != 2} for row in rows]}
    assert [row["number"] for row in places.get(f"{place}/urls").get_json()["parts"]] == [2]
    again = places.get(f"{place}/urls?parts=3,1-2,3").get_json()
    assert [row["number"] for row in again["parts"]] == [1, 2, 3]
    problem(places.post(f"{place}/complete"), 409, "conflict", parts=["2"])
    send(data, again["parts"][1:2])
    sent = places.post(f"{place}/complete?experiment_name=central")
    assert (sent.status_code, sent.headers["Location"]) == (202, f"/v1/imports/{upload['id']}")
    import_ = sent.get_json()
    assert (import_["state"], import_["archive_digest"], import_["archive_size"]) == ("received", "", len(data))
    assert import_["options"] == {**NO_OPTIONS, "experiment_name": "central"}
    assert places.get(place).get_json()["state"] == "completed"
    assert run_imports() == 1
    done = places.get(sent.headers["Location"]).get_json()
    assert (done["state"], done["archive_digest"]) == ("done", f"sha256:{sha256(data)}")
    assert done["report"]["counts"]["artifact_files"]["created"] == 1
    stored = f"mlflow/workspaces/dev/{RUN}/artifacts/weights.bin"
    assert parts.objects.stat(stored).size == 2 * MIN_PART
    assert list(parts.objects.list("imports/")) == []


def test_completing_twice_is_one_import(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    place = uploaded(places, ORDERS)
    first = places.post(f"{place}/complete")
    again = places.post(f"{place}/complete")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.get_json() == again.get_json()
    problem(places.post(f"{place}/complete?model_prefix=x-"), 409, "conflict")
    assert run_imports() == 1
    done = places.post(f"{place}/complete", headers={"Prefer": "wait=5"})
    assert (done.status_code, done.get_json()["state"]) == (200, "done")
    problem(places.get(f"{place}/urls"), 409, "conflict")
    problem(places.delete(place), 409, "conflict")


def test_the_same_archive_by_either_way_is_one_import(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    body = places.post(IMPORTS, data=ORDERS).get_json()
    direct = places.post(f"{uploaded(places, ORDERS)}/complete").get_json()
    other = places.post(f"{uploaded(places, ORDERS)}/complete?model_prefix=x-").get_json()
    assert len({body["id"], direct["id"], other["id"]}) == 3
    assert run_imports() == 3
    answer = places.get(f"/v1/imports/{direct['id']}").get_json()
    assert answer == places.get(f"/v1/imports/{body['id']}").get_json()
    assert answer["state"] == "done"
    assert places.get(f"/v1/imports/{other['id']}").get_json()["id"] == other["id"]
    listed = [row["id"] for row in places.get(IMPORTS).get_json()["imports"]]
    assert listed == [other["id"], body["id"]]
    third = places.post(f"{uploaded(places, ORDERS)}/complete")
    assert run_imports() == 1
    replayed = places.get(third.headers["Location"]).get_json()
    assert replayed["id"] == body["id"]


@pytest.mark.parametrize("announced", [False, True])
def test_an_idempotency_key_sent_again(places: FlaskClient, run_imports: Callable[[], int], announced: bool) -> None:
    """Begin, parts and complete, by somebody who does not know that it was done already."""
    told = {"sha256": sha256(ORDERS)} if announced else {}
    key = {"Idempotency-Key": "build 7"}
    first = places.post(f"{uploaded(places, ORDERS, **told)}/complete", headers=key).get_json()
    run_imports()
    again = places.post(f"{uploaded(places, ORDERS, **told)}/complete", headers=key)
    assert again.status_code == 202
    run_imports()
    assert places.get(again.headers["Location"]).get_json()["id"] == first["id"]
    told = {"sha256": sha256(OTHER)} if announced else {}
    other = places.post(f"{uploaded(places, OTHER, **told)}/complete", headers=key)
    if announced:
        problem(other, 409, "conflict", header="Idempotency-Key", key="build 7")
        return
    run_imports()
    refused = places.get(other.headers["Location"]).get_json()
    assert (refused["state"], refused["problem"]["header"]) == ("refused", "Idempotency-Key")


def test_an_announced_archive_is_gone_on_with(places: FlaskClient) -> None:
    first = begin(places, ORDERS, sha256=sha256(ORDERS))
    send(ORDERS, first["urls"])
    again = places.post(UPLOADS, json={"size": len(ORDERS), "sha256": sha256(ORDERS)})
    assert (again.status_code, again.get_json()["id"]) == (200, first["id"])
    assert (again.get_json()["urls"], again.get_json()["parts"][0]["there"]) == ([], True)
    other = places.post("/v1/workspaces/other/uploads", json={"size": len(ORDERS), "sha256": sha256(ORDERS)})
    assert (other.status_code, other.get_json()["id"] != first["id"]) == (201, True)


@pytest.mark.parametrize("at_the_end", [False, True])
def test_another_archive_than_announced_is_refused(
    places: FlaskClient, parts: Parts, run_imports: Callable[[], int], at_the_end: bool
) -> None:
    wrong = sha256(b"another")
    place = uploaded(places, ORDERS, **({} if at_the_end else {"sha256": wrong}))
    sent = places.post(f"{place}/complete", query_string={"sha256": wrong} if at_the_end else {})
    assert run_imports() == 1
    refused = places.get(sent.headers["Location"]).get_json()
    assert (refused["state"], refused["problem"]["announced"]) == ("refused", wrong)
    assert refused["problem"]["found"] == sha256(ORDERS)
    assert list(parts.objects.list("")) == []
    again = places.post(f"{place}/complete", query_string={"sha256": wrong} if at_the_end else {})
    problem(again, 422, "archive-refused")


def test_what_is_announced_twice_must_agree(places: FlaskClient) -> None:
    place = uploaded(places, ORDERS, sha256=sha256(ORDERS))
    problem(places.post(f"{place}/complete?sha256={'0' * 64}"), 422, "invalid-input", field="sha256")
    assert places.post(f"{place}/complete?sha256={sha256(ORDERS)}").status_code == 202


def test_what_is_no_archive_is_forgotten(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left(recorded=3):  # begun, handed out, ended
        place = uploaded(places, b"no archive")
        problem(places.post(f"{place}/complete"), 422, "archive-refused")
        problem(places.get(place), 404, "upload-not-found")


def test_parts_of_another_length_are_not_there(places: FlaskClient) -> None:
    upload = begin(places, ORDERS)
    (row,) = upload["urls"]
    place = f"{UPLOADS}/{upload['id']}"
    for wrong in (ORDERS + b"x", ORDERS[:-1], b""):
        assert requests.put(row["url"], data=wrong, timeout=30).status_code == 200
        assert [part["there"] for part in places.get(place).get_json()["parts"]] == [False]
        problem(places.post(f"{place}/complete"), 409, "conflict", parts=["1"])
    send(ORDERS, [row])
    assert places.post(f"{place}/complete").status_code == 202


def test_ending(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left(recorded=3):  # begun, handed out, ended
        upload = begin(places, ORDERS)
        send(ORDERS, upload["urls"])
        place = f"{UPLOADS}/{upload['id']}"
        assert places.delete(place).status_code == 204
        for answer in (
            places.get(place),
            places.get(f"{place}/urls"),
            places.post(f"{place}/complete"),
            places.delete(place),
        ):
            problem(answer, 404, "upload-not-found")
        assert requests.put(upload["urls"][0]["url"], data=ORDERS, timeout=30).status_code == 404


def test_abandoned_ones_end(places: FlaskClient, parts: Parts) -> None:
    upload = begin(places, ORDERS)
    send(ORDERS, upload["urls"])
    place = f"{UPLOADS}/{upload['id']}"
    completed = uploaded(places, ORDERS)
    assert places.post(f"{completed}/complete").status_code == 202
    assert uploads_of(parts, timedelta(hours=23)).end_expired() == 0
    assert places.get(place).status_code == 200
    assert uploads_of(parts, timedelta(hours=25)).end_expired() == 1
    problem(places.get(place), 404, "upload-not-found")
    assert requests.put(upload["urls"][0]["url"], data=ORDERS, timeout=30).status_code == 404
    assert places.get(completed).get_json()["state"] == "completed"
    assert [info.size for info in parts.objects.list("imports/")] == [len(ORDERS)]


def test_the_worker_ends_abandoned_ones(
    places: FlaskClient, parts: Parts, settings: Settings, engine: sa.Engine
) -> None:
    place = uploaded(places, ORDERS)
    end_uploads = make_worker_app(settings).tasks["end-uploads"]
    end_uploads(timestamp=0)
    assert places.get(place).status_code == 200
    with engine.begin() as connection:
        connection.execute(sa.update(tables.uploads).values(expires_at=parts.clock() - timedelta(seconds=1)))
    end_uploads(timestamp=0)
    problem(places.get(place), 404, "upload-not-found")


class Dies:
    """The parts' store; the process dies after joining them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts.part_store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parts, name)

    def join(self, *arguments: Any) -> None:
        self._parts.join(*arguments)
        raise KeyboardInterrupt


def test_an_end_between_joining_and_the_row(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    place = uploaded(places, ORDERS)
    upload_id = place.rpartition("/")[2]
    dying = replace(uploads_of(parts), parts=Dies(parts))
    with pytest.raises(KeyboardInterrupt):
        dying.complete(OPERATOR, "dev", upload_id, "", ImportOptions())
    assert parts.objects.stat(archive_key(upload_id)).size == len(ORDERS)
    assert [part["there"] for part in places.get(place).get_json()["parts"]] == [True]
    assert places.post(f"{place}/complete").status_code == 202
    assert run_imports() == 1
    # One that nobody completes goes, joined or not.
    lost = uploaded(places, ORDERS)
    with pytest.raises(KeyboardInterrupt):
        dying.complete(OPERATOR, "dev", lost.rpartition("/")[2], "", ImportOptions())
    assert uploads_of(parts, timedelta(hours=25)).end_expired() == 1
    assert list(parts.objects.list("imports/")) == []


def test_an_end_while_it_is_forgotten(places: FlaskClient, parts: Parts) -> None:
    place = uploaded(places, ORDERS)
    with parts.store.transaction() as tx:
        assert tx.uploads.end(place.rpartition("/")[2])
    problem(places.get(place), 404, "upload-not-found")
    problem(places.post(f"{place}/complete"), 404, "upload-not-found")
    assert (uploads_of(parts).end_expired(), uploads_of(parts).end_expired()) == (1, 0)


def test_others_see_none_of_it(places: FlaskClient, caller: Callable[[str], Headers]) -> None:
    place = uploaded(places, ORDERS)
    elsewhere = place.replace("/dev/", "/other/")
    for headers in (caller("import:other"), caller("admin")):
        for method, path in (("GET", ""), ("GET", "/urls"), ("POST", "/complete"), ("DELETE", "")):
            problem(places.open(elsewhere + path, method=method, headers=dict(headers)), 404, "upload-not-found")
    problem(places.get(place, headers=dict(caller("import:other"))), 403, "not-allowed")
    assert places.get(place, headers=dict(caller("import:dev"))).status_code == 200


def test_limits(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        problem(places.post(UPLOADS, json={"size": 64 * 1024 * 1024 + 1}), 413, "too-large", limit=64 * 1024 * 1024)
        for body in ({"size": 0}, {"size": -1}, {"size": "5"}, {"size": 2**60}, {}, {"size": 5, "sha256": "x"}):
            problem(places.post(UPLOADS, json=body), 422, "invalid-input")
        problem(places.post("/v1/workspaces/absent/uploads", json={"size": 5}), 404, "workspace-not-found")
    upload = begin(places, ORDERS)
    for wrong in ("0", "2", "1-2", "2-1", "9999"):
        problem(places.get(f"{UPLOADS}/{upload['id']}/urls?parts={wrong}"), 422, "invalid-input", field="parts")
    for wrong in ("x", "1,", "-1", "1-", "10000", "1;2"):
        problem(places.get(f"{UPLOADS}/{upload['id']}/urls?parts={wrong}"), 422, "invalid-input")


def test_not_too_many_at_once(places: FlaskClient, parts: Parts) -> None:
    with parts.store.transaction() as tx:
        known = tx.uploads.get("dev", begin(places, ORDERS)["id"])
        for number in range(MAX_OPEN - 1):
            tx.uploads.add(replace(known, id=f"00000000-0000-0000-0000-{number:012d}"))
    problem(places.post(UPLOADS, json={"size": 5}), 409, "conflict")
    assert places.delete(f"{UPLOADS}/{known.id}").status_code == 204
    assert places.post(UPLOADS, json={"size": 5}).status_code == 201


def test_parts_grow_with_the_archive() -> None:
    assert part_size(1) == MIN_PART
    assert part_size(1000 * MIN_PART) == MIN_PART
    assert part_size(1000 * MIN_PART + 1) == MIN_PART + 1024 * 1024
    for size in (20 * GIB, 1024 * GIB):
        assert (size - 1) // part_size(size) < 1000
        assert part_size(size) <= 5 * GIB


def test_an_option_that_is_refused_leaves_it_open(places: FlaskClient, nothing_left: Unchanged) -> None:
    place = uploaded(places, packed(model_export()))
    with nothing_left():
        problem(places.post(f"{place}/complete?register=model"), 422, "invalid-input", field="model_name")
        problem(places.post(f"{place}/complete?environment=absent"), 404, "environment-not-found")
    assert places.get(place).get_json()["state"] == "open"
