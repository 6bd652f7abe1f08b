"""Imports: sent, waited for, sent again, cancelled, listed."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest
import zstandard
from flask.testing import FlaskClient

from service.domain.errors import ConcurrentChange, Unavailable
from service.exports.records import VersionRecord
from service.exports.versions import VersionFiles, VersionSources
from service.stores.objects import S3Objects
from service.usecases import run_import
from service.usecases.import_artifacts import SMALL
from service.usecases.object_ports import ObjectInfo
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS, OTHER_RUN
from tests.api.matching import DIGEST, ID, NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged, traces
from tests.small_exports import (
    RUN,
    Document,
    changed,
    encoded,
    experiment,
    model_export,
    packed,
    registered_model,
    run,
    version,
)

IMPORTS = "/v1/workspaces/dev/imports"
NO_OPTIONS = {"experiment_name": "", "model_name": "", "model_prefix": "", "register": "", "environment": ""}


def received(**fields: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "workspace": "dev",
        "state": "received",
        "options": NO_OPTIONS,
        "archive_digest": "sha256:" + hashlib.sha256(ORDERS).hexdigest(),
        "archive_size": len(ORDERS),
        "s3": None,
        "created_by": "test",
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        "attempts": 0,
        "progress": {},
        "report": None,
        "problem": None,
        **fields,
    }


def counted(created: int, **others: int) -> dict[str, int]:
    counts = {"created": created, "updated": 0, "skipped": 0, "failed": 0, **others}
    return {**counts, "found": sum(counts.values())}


@contextmanager
def worker(run_imports: Callable[[], int]) -> Iterator[None]:
    """Does the worker's work beside the requests of the block."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            run_imports()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def archives(parts: Parts) -> list[str]:
    return [info.key for info in parts.objects.list("imports/")]


def test_an_export_is_sent_and_taken_in(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    sent = places.post(IMPORTS, data=ORDERS)
    assert sent.status_code == 202
    assert sent.headers["Location"] == f"/v1/imports/{sent.get_json()['id']}"
    assert sent.get_json() == received()
    assert places.get(sent.headers["Location"]).get_json() == sent.get_json()
    assert run_imports() == 1
    done = places.get(sent.headers["Location"])
    assert done.status_code == 200
    versions = [
        {
            "model": "orders",
            "version": number,
            "digest": DIGEST,
            "original_model": "orders",
            "original_version": str(number),
            "run_id": run_id,
        }
        for number, run_id in ((1, RUN), (2, OTHER_RUN))
    ]
    report = {
        "counts": {
            "artifact_files": counted(3),
            "experiments": counted(1),
            "latest_metrics": counted(2),
            "metrics": counted(2),
            "models": counted(1),
            "params": counted(2),
            "runs": counted(2),
            "tags": counted(2),
            "versions": counted(2),
        },
        "experiments": [{"original_id": "7", "original_name": "experiment 7", "id": "1", "name": "dev/experiment 7"}],
        "models": [{"original_name": "orders", "name": "orders"}],
        "prompts": [],
        "new_ids": [],
        "versions": versions,
        "stages": [],
        "failed": [],
        "incomplete": [],
        "unread_files": [],
    }
    body = done.get_json()
    assert body.pop("progress").keys() == {"bytes_read", "rows_read"}
    expected = received(
        id=sent.get_json()["id"], state="done", started_at=NOW, finished_at=NOW, attempts=1, report=report
    )
    del expected["progress"]
    assert body == expected
    assert archives(parts) == [], "the archive goes once its import is final"


def test_the_same_archive_twice_is_one_import(
    places: FlaskClient, parts: Parts, run_imports: Callable[[], int], nothing_left: Unchanged
) -> None:
    first = places.post(IMPORTS, data=ORDERS)
    with nothing_left():
        waiting = places.post(IMPORTS, data=ORDERS)
    assert (waiting.status_code, waiting.headers["Location"]) == (202, first.headers["Location"])
    assert waiting.get_json() == first.get_json()
    assert run_imports() == 1
    with nothing_left():
        again = places.post(IMPORTS, data=ORDERS)
    assert (again.status_code, again.headers["Location"]) == (200, first.headers["Location"])
    assert again.get_json() == places.get(first.headers["Location"]).get_json()
    assert again.get_json()["report"]["counts"]["versions"]["created"] == 2
    assert run_imports() == 0


def test_other_options_or_workspaces_are_other_imports(
    places: FlaskClient, run_imports: Callable[[], int], parts: Parts
) -> None:
    first = places.post(IMPORTS, data=ORDERS).get_json()["id"]
    renamed = places.post(IMPORTS, data=ORDERS, query_string={"experiment_name": "central"})
    assert renamed.status_code == 202
    assert renamed.get_json() == received(options={**NO_OPTIONS, "experiment_name": "central"})
    elsewhere = places.post("/v1/workspaces/other/imports", data=ORDERS, query_string={"model_name": "theirs"})
    assert elsewhere.status_code == 202
    assert len({first, renamed.get_json()["id"], elsewhere.get_json()["id"]}) == 3
    assert len(archives(parts)) == 3
    assert run_imports() == 3
    done = [places.get(f"/v1/imports/{item}").get_json() for item in (first, renamed.get_json()["id"])]
    counts = [item["report"]["counts"] for item in done]
    assert counts[0]["runs"] == counted(2)
    assert counts[1]["runs"] == counted(0, skipped=2), "nothing is doubled"
    assert counts[1]["versions"] == counted(0, skipped=2)
    theirs = places.get(elsewhere.headers["Location"]).get_json()["report"]
    assert {row["model"] for row in theirs["versions"]} == {"theirs"}
    assert not {row["run_id"] for row in theirs["versions"]} & {RUN, OTHER_RUN}, "the ids are the first workspace's"


def test_a_larger_export_of_the_same_brings_what_is_new(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    places.post(IMPORTS, data=ORDERS)
    run_imports()
    third = "c" * 32
    more = packed({f"{RUN}/run.json": run(tags={"mlflow.runName": "renamed"}), f"{third}/run.json": run(third)})
    sent = places.post(IMPORTS, data=more)
    run_imports()
    counts = places.get(sent.headers["Location"]).get_json()["report"]["counts"]
    assert counts["runs"] == counted(1, updated=1)
    assert counts["experiments"] == counted(0, skipped=1)
    assert counts["tags"] == counted(1, updated=1)
    assert counts["params"] == counted(1, skipped=1)


def test_idempotency_key(places: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged) -> None:
    headers = {"Idempotency-Key": "k" * 255}
    first = places.post(IMPORTS, data=ORDERS, headers=headers)
    other = packed({f"{RUN}/run.json": run()})
    with nothing_left():
        assert places.post(IMPORTS, data=ORDERS, headers=headers).get_json()["id"] == first.get_json()["id"]
        assert places.post(IMPORTS, data=ORDERS).get_json()["id"] == first.get_json()["id"]
        response = places.post(IMPORTS, data=other, headers=headers)
        problem(response, 409, "conflict", header="Idempotency-Key")
        response = places.post(IMPORTS, data=ORDERS, headers=headers, query_string={"experiment_name": "x"})
        problem(response, 409, "conflict", header="Idempotency-Key")
        for key in ("", "k" * 256):
            response = places.post(IMPORTS, data=other, headers={"Idempotency-Key": key})
            document = problem(response, 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == ["Idempotency-Key"]
    elsewhere = places.post("/v1/workspaces/other/imports", data=other, headers=headers)
    assert elsewhere.status_code == 202, "each workspace has keys of its own"
    assert run_imports() == 2
    with nothing_left():
        assert places.post(IMPORTS, data=ORDERS, headers=headers).status_code == 200


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


@pytest.mark.parametrize("where", ["_take_in", "identified"])
def test_lost_races_do_not_refuse_an_archive(
    places: FlaskClient, parts: Parts, importer: Importer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing is wrong with it: it stays, and the job is tried again."""
    sent = places.post(IMPORTS, data=ORDERS)
    import_id = sent.get_json()["id"]

    def lose(*_: object) -> None:
        raise ConcurrentChange("Something else changed the same rows at the same time; try again.")

    with monkeypatch.context() as patch:
        patch.setattr(*((Importer, where) if where == "_take_in" else (run_import, where)), lose)
        with pytest.raises(Unavailable):
            importer.run(import_id)
    assert places.get(sent.headers["Location"]).get_json()["state"] == "running"
    assert archives(parts) == [f"imports/{import_id}/archive"]
    assert importer.run(import_id) == "done"


def test_the_same_archive_at_the_same_time(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    def send(_: int) -> tuple[int, str]:
        client = places.application.test_client()
        client.environ_base.update(places.environ_base)
        response = client.post(IMPORTS, data=ORDERS)
        return response.status_code, response.get_json()["id"]

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(send, range(12)))
    assert len(found) == 1
    assert archives(parts) == [f"imports/{found.pop()[1]}/archive"]
    assert run_imports() == 1


def test_listing(places: FlaskClient, nothing_left: Unchanged) -> None:
    ids = [places.post(IMPORTS, data=ORDERS, query_string={"experiment_name": name}).get_json()["id"] for name in "abc"]
    theirs = places.post("/v1/workspaces/other/imports", data=ORDERS).get_json()["id"]

    def listed(**query: object) -> list[str]:
        response = places.get(IMPORTS, query_string=query)
        assert response.status_code == 200
        assert set(response.get_json()) == {"imports"}
        return [item["id"] for item in response.get_json()["imports"]]

    assert listed() == ids[::-1]
    assert listed(limit=2) == ids[:0:-1]
    assert listed(limit=2, before=ids[1]) == ids[:1]
    assert listed(before=ids[0]) == []
    assert places.get(IMPORTS).get_json()["imports"][0] == places.get(f"/v1/imports/{ids[-1]}").get_json()
    assert [row["id"] for row in places.get("/v1/workspaces/other/imports").get_json()["imports"]] == [theirs]
    with nothing_left():
        problem(places.get("/v1/workspaces/absent/imports"), 404, "workspace-not-found", name="absent")
        problem(places.get(IMPORTS, query_string={"before": "absent"}), 404, "import-not-found", name="absent")
        for name, value in (("limit", 0), ("limit", 501), ("limit", "x"), ("before", "x" * 65), ("page", 2)):
            document = problem(places.get(IMPORTS, query_string={name: value}), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [name]


def test_what_is_not_there(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for import_id in ("absent", "00000000-0000-0000-0000-000000000000", "%20"):
            problem(places.get(f"/v1/imports/{import_id}"), 404, "import-not-found", kind="import")
            problem(places.delete(f"/v1/imports/{import_id}"), 404, "import-not-found", kind="import")
        problem(places.post("/v1/workspaces/absent/imports", data=ORDERS), 404, "workspace-not-found", name="absent")
        response = places.post(IMPORTS, data=ORDERS, query_string={"environment": "absent"})
        problem(response, 404, "environment-not-found", name="absent")


def tar_of(files: dict[str, Any]) -> bytes:
    return packed(files, "w")


def zip_of(files: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, encoded(content))
    return target.getvalue()


PACKINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "tar": tar_of,
    "tar.gz": packed,
    "tar.zst": lambda files: zstandard.compress(tar_of(files)),
    "zip": zip_of,
}


def test_every_packing_and_any_content_type(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    """curl calls every body a form, other clients know better or say nothing."""
    types = ("application/x-www-form-urlencoded", "application/gzip", "", "application/octet-stream")
    digests = set()
    for (packing, pack), content_type in zip(PACKINGS.items(), types, strict=True):
        sent = places.post(IMPORTS, data=pack(model_export()), content_type=content_type)
        assert sent.status_code == 202, packing
        run_imports()
        done = places.get(sent.headers["Location"]).get_json()
        assert done["state"] == "done", done
        digests |= {row["digest"] for row in done["report"]["versions"]}
    assert len(digests) == 1


def test_a_body_without_a_length(places: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    chunked = {"wsgi.input": io.BytesIO(ORDERS), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    sent = places.post(IMPORTS, environ_overrides=chunked)
    assert sent.get_json() == received()
    run_imports()
    assert places.get(sent.headers["Location"]).get_json()["state"] == "done"


def test_central_names(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    query = {"experiment_name": "/Central/Ünïcode 😀", "model_name": "central orders"}
    sent = places.post(IMPORTS, data=packed({"experiment.json": experiment(), **model_export()}), query_string=query)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert [row["name"] for row in report["experiments"]] == ["/Central/Ünïcode 😀"]
    assert [(row["model"], row["original_model"]) for row in report["versions"]] == [("central orders", "orders")]


def test_registering_a_path_of_each_run(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    early = changed(run(OTHER_RUN), "mlflow.info.start_time", 1)
    files: dict[str, bytes | Document] = {
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/model.pkl": b"42",
        f"{OTHER_RUN}/run.json": early,
        f"{OTHER_RUN}/artifacts/model/model.pkl": b"41",
        f"{'c' * 32}/run.json": run("c" * 32),
    }
    query = {"register": "model", "model_name": "fresh"}
    sent = places.post(IMPORTS, data=packed(files), query_string=query)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert [(row["version"], row["run_id"]) for row in report["versions"]] == [(1, OTHER_RUN), (2, RUN)]
    for path in ("model", "/"):  # the whole of a run's artifacts is a path too
        places.post(IMPORTS, data=packed(files), query_string={**query, "register": path})
        run_imports()
        more = packed({**files, "note.txt": path.encode()})
        sent = places.post(IMPORTS, data=more, query_string={**query, "register": path})
        run_imports()
        report = places.get(sent.headers["Location"]).get_json()["report"]
        assert report["counts"]["versions"] == counted(0, skipped=2)
        assert report["unread_files"] == ["note.txt"]


def test_versions_of_the_same_bytes_share_them(
    places: FlaskClient, run_imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 refuses to copy an object onto itself."""
    written: list[str] = []

    def put(objects: S3Objects, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        written.append(key)
        return put_really(objects, key, data, size)

    def copy(objects: S3Objects, source: str, target: str) -> ObjectInfo:
        written.append(target)
        return copy_really(objects, source, target)

    put_really, copy_really = S3Objects.put, S3Objects.copy
    files: dict[str, bytes | Document] = {
        "model.json": registered_model(version("1"), version("2")),
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/small.bin": b"42",
        f"{RUN}/artifacts/model/large.bin": bytes(SMALL + 1),
    }
    sent = places.post(IMPORTS, data=packed(files))
    monkeypatch.setattr(S3Objects, "put", put)
    monkeypatch.setattr(S3Objects, "copy", copy)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert report["counts"]["versions"] == counted(2)
    assert len(written) == len(set(written)) == 4


def test_what_the_tool_could_not_export_is_told(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    listed = changed(experiment(), "mlflow.runs", [RUN, "absent"])
    files = {"experiment.json": changed(listed, "info.failed_runs", ["broken"]), f"{RUN}/run.json": run()}
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert report["failed"] == [
        {"kind": "run", "name": "broken", "reason": "the export tool recorded it as failed"},
        {"kind": "run", "name": "absent", "reason": "experiment.json lists it and its folder is not there"},
    ]
    assert report["counts"]["runs"] == counted(1, failed=2)


def test_the_source_s_stages_are_applied_on_request(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    places.post(IMPORTS, data=ORDERS)
    run_imports()
    assert places.get("/v1/environments/prod/stages").get_json()["assignments"] == []
    places.post(IMPORTS, data=ORDERS, query_string={"environment": "prod"})
    run_imports()
    (held,) = places.get("/v1/environments/prod/stages").get_json()["assignments"]
    assert (held["model"], held["stage"], held["version"], held["assigned_by"]) == ("orders", "Production", 1, "test")
    assert places.get("/v1/environments/qa/stages").get_json()["assignments"] == []


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


def test_cancelling_while_it_is_planned(
    places: FlaskClient, importer: Importer, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is claimed or stored."""
    sent = places.post(IMPORTS, data=ORDERS)
    of = VersionSources.of

    def slow(self: VersionSources, version: VersionRecord, folder: str = "") -> VersionFiles:
        places.delete(sent.headers["Location"])
        time.sleep(0.6)
        return of(self, version, folder)

    monkeypatch.setattr(VersionSources, "of", slow)
    monkeypatch.setattr("service.usecases.run_import.claim", lambda *_: pytest.fail("it went on"))
    assert importer.run(sent.get_json()["id"]) == "cancelled"


def test_what_versions_remember_is_bounded(
    places: FlaskClient, run_imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own copy of what is known of its run."""
    files: dict[str, bytes | Document] = {
        "model.json": registered_model(*(version(str(n)) for n in range(1, 100))),
        f"{RUN}/run.json": run(news=[{}] * 1000),
        f"{RUN}/artifacts/model/model.pkl": b"42",
    }
    monkeypatch.setattr("service.usecases.plan_draft.MAX_REMEMBERED", 5_000_000)
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    told = places.get(sent.headers["Location"]).get_json()
    assert (told["state"], told["problem"]["type"].rpartition(":")[2]) == ("refused", "too-large")
