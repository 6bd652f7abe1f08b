"""Imports: sent, sent again, in every packing, and listed."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask.testing import FlaskClient

from service.wiring import Parts
from tests.api.conftest import ORDERS, OTHER_RUN
from tests.api.importing import IMPORTS, NO_OPTIONS, PACKINGS, archives, counted, received
from tests.api.matching import DIGEST, NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN, model_export, packed, run


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
