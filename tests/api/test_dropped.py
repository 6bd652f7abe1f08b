"""Imports of what is in a workspace's drop zone already: an archive, or a folder file by file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.domain.errors import ArchiveRefused
from service.domain.identity import OPERATOR
from service.domain.importing import ImportOptions
from service.stores.memory import MemoryObjects
from service.usecases import receive_dropped as receiving
from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.importing import IMPORTS
from tests.api.matching import DIGEST
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN, encoded, model_export

FOLDER = "drop/dev/exports/orders/"
LARGE = bytes(range(256)) * (8 * 1024)
"""2 MiB: more than is read ahead of its turn."""


def drop(parts: Parts, files: Mapping[str, Any], prefix: str = FOLDER) -> None:
    for path, content in files.items():
        data = encoded(content)
        parts.objects.put(prefix + path, io.BytesIO(data), len(data))


def ask(client: FlaskClient, workspace: str = "dev", query: str = "", **s3: Any) -> TestResponse:
    return client.post(f"/v1/workspaces/{workspace}/imports{query}", json={"s3": s3})


def outcome(client: FlaskClient, sent: TestResponse) -> dict[str, Any]:
    assert sent.status_code == 202, sent.text
    document: dict[str, Any] = client.get(sent.headers["Location"]).get_json()
    return document


def test_a_folder(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    files = {**model_export(), f"{RUN}/artifacts/large.bin": LARGE, "__MACOSX/._x": b"junk"}
    drop(parts, files)
    drop(parts, {"other.json": b"{}"}, "drop/dev/exports/orders-2/")
    before = {info.key for info in parts.objects.list("drop/")}
    sent = ask(places, prefix=FOLDER)
    received = outcome(places, sent)
    assert received["s3"] == {"prefix": FOLDER}
    assert received["archive_digest"] == DIGEST
    assert received["archive_size"] == sum(len(encoded(content)) for content in files.values())
    assert run_imports() == 1
    done = outcome(places, sent)
    assert done["state"] == "done", done["problem"]
    assert done["report"]["counts"]["artifact_files"]["created"] == 3
    assert done["report"]["unread_files"] == []
    with parts.objects.open(f"mlflow/workspaces/dev/{RUN}/artifacts/large.bin") as body:
        assert hashlib.sha256(body.read()).digest() == hashlib.sha256(LARGE).digest()
    assert {info.key for info in parts.objects.list("drop/")} == before, "what was dropped stays"
    assert list(parts.objects.list("imports/")) == []
    again = ask(places, prefix=FOLDER.removesuffix("/"))
    assert (again.status_code, again.get_json()["id"]) == (200, done["id"])


def test_the_same_files_elsewhere_are_the_same(
    places: FlaskClient, parts: Parts, run_imports: Callable[[], int]
) -> None:
    drop(parts, model_export())
    drop(parts, model_export(), "drop/dev/copy/")
    first = outcome(places, ask(places, prefix=FOLDER))
    assert outcome(places, ask(places, prefix="drop/dev/copy"))["id"] == first["id"]
    assert outcome(places, ask(places, query="?model_prefix=x-", prefix=FOLDER))["id"] != first["id"]
    drop(parts, {f"{RUN}/artifacts/model/model.pkl": b"43"}, "drop/dev/copy/")
    assert outcome(places, ask(places, prefix="drop/dev/copy"))["id"] != first["id"]


def test_the_whole_zone(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    drop(parts, model_export(), "drop/dev/")
    sent = ask(places, prefix="drop/dev/")
    assert run_imports() == 1
    assert outcome(places, sent)["state"] == "done"


def test_an_archive(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    drop(parts, {"orders.tar.gz": ORDERS}, "drop/dev/")
    sent = ask(places, key="drop/dev/orders.tar.gz")
    received = outcome(places, sent)
    assert (received["s3"], received["archive_digest"]) == ({"key": "drop/dev/orders.tar.gz"}, "")
    assert ask(places, key="drop/dev/orders.tar.gz").get_json()["id"] == received["id"]
    assert run_imports() == 1
    done = outcome(places, sent)
    assert (done["state"], done["archive_size"]) == ("done", len(ORDERS))
    assert done["archive_digest"] == "sha256:" + hashlib.sha256(ORDERS).hexdigest()
    assert [info.key for info in parts.objects.list("drop/")] == ["drop/dev/orders.tar.gz"]
    for again in (ask(places, key="drop/dev/orders.tar.gz"), places.post(IMPORTS, data=ORDERS)):
        assert (again.status_code, again.get_json()["id"]) == (200, done["id"])


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("gone", [True, False])
def test_what_changed_since_is_refused(
    places: FlaskClient,
    parts: Parts,
    run_imports: Callable[[], int],
    nothing_left: Unchanged,
    archive: bool,
    gone: bool,
) -> None:
    key = "drop/dev/orders.tar.gz" if archive else f"{FOLDER}{RUN}/artifacts/model/model.pkl"
    drop(parts, {"orders.tar.gz": ORDERS}, "drop/dev/")
    drop(parts, model_export())
    with nothing_left(refused=1):
        sent = ask(places, key=key) if archive else ask(places, prefix=FOLDER)
        kept = parts.objects.copy(key, "elsewhere").key
        if gone:
            parts.objects.delete([key])
        else:
            drop(parts, {key: b"4" * parts.objects.stat(key).size}, "")
        assert run_imports() == 1
        parts.objects.copy(kept, key)
        parts.objects.delete([kept])
        refused = outcome(places, sent)
        assert refused["state"] == "refused"
        assert refused["problem"]["type"].endswith("object-not-found" if gone else "conflict")


def test_a_file_that_changes_between_the_readings(
    places: FlaskClient, parts: Parts, importer: Any, run_imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(parts, model_export())
    sent = ask(places, prefix=FOLDER)
    store = type(importer)._store

    def changed(self: Any, *given: Any) -> int:
        drop(parts, {f"{RUN}/artifacts/model/model.pkl": b"43"})
        count: int = store(self, *given)
        return count

    monkeypatch.setattr(type(importer), "_store", changed)
    assert run_imports() == 1
    refused = outcome(places, sent)
    assert (refused["state"], refused["problem"]["status"]) == ("refused", 409)
    assert places.get("/v1/models").get_json() == {"models": []}


NAMES = [
    "",
    "/",
    "drop",
    "drop/",
    "drop/other/exports/orders",
    "drop/de",
    "drop/dev2/orders",
    "drop/dev/../other/exports",
    "drop/dev/./orders",
    "drop/dev//orders",
    "drop/dev/orders/..",
    "drop/dev/..\\other",
    "drop/dev/a\nb",
    "/drop/dev/orders",
    "DROP/dev/orders",
    "imports/",
    "models/",
    "mlflow/workspaces/dev/",
    "drop/dev/" + "x" * 1020,
    "s3://bucket/drop/dev/orders",
    "drop/dev/C:/../..",
]


def test_nothing_else_can_be_named(places: FlaskClient, parts: Parts, nothing_left: Unchanged) -> None:
    drop(parts, model_export(), "drop/other/exports/orders/")
    drop(parts, model_export(), "mlflow/workspaces/dev/")
    drop(parts, {"a.tar.gz": ORDERS}, "imports/1/")
    with nothing_left():
        for what in ("prefix", "key"):
            for name in NAMES:
                problem(ask(places, **{what: name}), 422, "invalid-input")


HOSTILE = [
    "a\nb/run.json",
    "x/../run.json",
    "x//run.json",
    "Run.json",
    "run.json/x",
    "a" * 256 + "/x",
    "d/" * 32 + "x",
]


def test_hostile_names_below_it(places: FlaskClient, parts: Parts) -> None:
    """In a store that keeps any key, which not every real one does."""
    for path in HOSTILE:
        objects = MemoryObjects()
        for each in ("run.json", path):
            objects.put(f"drop/dev/x/{each}", io.BytesIO(b"{}"), 2)
        with pytest.raises(ArchiveRefused) as caught:
            receiving.receive_dropped(
                parts.store, objects, parts.clock, OPERATOR, "dev", 1000, ImportOptions(), prefix="drop/dev/x"
            )
        assert caught.value.where["member"], path
        assert [info.key for info in objects.list("imports/")] == []


def test_limits(places: FlaskClient, parts: Parts, nothing_left: Unchanged, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(parts, model_export())
    drop(parts, {"text": b"no archive", "large.bin": bytes(9)}, "drop/dev/")
    with nothing_left():
        problem(ask(places, prefix="drop/dev/empty"), 404, "object-not-found")
        problem(ask(places, key="drop/dev/absent.zip"), 404, "object-not-found")
        problem(ask(places, key="drop/dev/text"), 422, "archive-refused")
        problem(ask(places, "absent", prefix="drop/absent/"), 404, "workspace-not-found")
        problem(ask(places, query="?register=model", prefix=FOLDER), 422, "invalid-input", field="model_name")
        monkeypatch.setattr(receiving, "LIMITS", receiving.Limits(members=3))
        problem(ask(places, prefix=FOLDER), 413, "too-large")


BODIES: list[Any] = [
    {},
    {"s3": {}},
    {"s3": "drop/dev/x"},
    {"s3": {"key": "drop/dev/x", "prefix": "drop/dev/x"}},
    {"s3": {"key": 5}},
    {"s3": {"key": "drop/dev/\0"}},
    {"s3": {"prefix": "drop/dev/x"}, "other": 1},
    {"prefix": "drop/dev/x"},
]


def test_bodies_that_are_none(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for body in BODIES:
            problem(places.post(IMPORTS, json=body), 422, "invalid-input")
        problem(places.post(IMPORTS, data=b"{", content_type="application/json"), 422, "invalid-input")


def test_an_idempotency_key(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    drop(parts, {"orders.tar.gz": ORDERS}, "drop/dev/")
    body = {"s3": {"key": "drop/dev/orders.tar.gz"}}
    first = places.post(IMPORTS, json=body, headers={"Idempotency-Key": "a"})
    assert run_imports() == 1
    again = places.post(IMPORTS, json=body, headers={"Idempotency-Key": "a"})
    assert (again.status_code, again.get_json()["id"]) == (200, first.get_json()["id"])
    drop(parts, model_export())
    other = places.post(IMPORTS, json={"s3": {"prefix": FOLDER}}, headers={"Idempotency-Key": "a"})
    problem(other, 409, "conflict", header="Idempotency-Key")
