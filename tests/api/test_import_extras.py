"""Traces, prompts, evaluation datasets and what Databricks adds: taken in once, brought up to date, kept apart."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.wiring import Parts
from tests.conftest import EXPORTS
from tests.small_exports import DATASET, RUN, TRACE, Document, assessment, changed, extras_export, packed, prompt, span

TRACE_FILE = f"traces/{TRACE}/trace.json"
SPANS = f"traces/{TRACE}/artifacts/traces.json"
SET = f"evaluation_datasets/qa_{DATASET}/evaluation_dataset.json"
Send = Callable[..., Document]


@pytest.fixture
def send(places: FlaskClient, run_imports: Callable[[], int]) -> Send:
    """Sends an export and answers with the finished import."""

    def sent(archive: bytes, workspace: str = "dev", **query: str) -> Document:
        answer = places.post(f"/v1/workspaces/{workspace}/imports", data=archive, query_string=query)
        assert answer.status_code == 202, answer.get_json()
        run_imports()
        done: Document = places.get(answer.headers["Location"]).get_json()
        return done

    return sent


def read(engine: sa.Engine, query: str, **values: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def counted(report: Document, kind: str) -> tuple[int, ...]:
    counts = report["counts"][kind]
    assert counts["found"] == sum(counts[what] for what in ("created", "updated", "skipped", "failed"))
    return tuple(counts[what] for what in ("created", "updated", "skipped", "failed"))


KINDS = ("traces", "spans", "assessments", "prompts", "evaluation_datasets", "evaluation_records")


def test_everything_becomes_what_mlflow_holds(send: Send, engine: sa.Engine, parts: Parts) -> None:
    report = send(packed(extras_export()), model_prefix="dev-")["report"]
    assert [counted(report, kind) for kind in KINDS] == [(1, 0, 0, 0)] * 3 + [(2, 0, 0, 0)] + [(1, 0, 0, 0)] * 2
    assert (report["failed"], report["unread_files"], report["new_ids"]) == ([], [], [])
    assert report["prompts"] == [
        {"prompt": "dev-greeting", "version": number, "original_name": "greeting", "original_version": number}
        for number in (1, 2)
    ]
    ((name, session, cost, status),) = read(
        engine,
        "SELECT trace_name, session_id, total_cost, status FROM public.trace_info WHERE request_id = :id",
        id=TRACE,
    )
    assert (name, session, cost, status) == ("outer", "s", 1.0, "OK")
    tags = dict(read(engine, "SELECT key, value FROM public.trace_tags"))
    assert tags == {
        "mlflow.trace.spansLocation": "TRACKING_STORE",
        "mlflow.artifactLocation": f"mlflow-artifacts:/workspaces/dev/traces/{TRACE}/artifacts",
    }
    assert read(engine, "SELECT key, value FROM public.trace_request_metadata") == [("mlflow.sourceRun", RUN)]
    ((span_id, kind, content, duration),) = read(engine, "SELECT span_id, type, content, duration_ns FROM public.spans")
    assert (span_id, kind, json.loads(content), duration) == ("2a97266d2f789124", "CHAIN", span(), 5_000_000)
    assert "ü" in content
    assert read(engine, "SELECT assessment_id, run_id, aggregate_value FROM public.assessments") == [("a-1", RUN, 1.0)]
    with parts.objects.open(f"mlflow/workspaces/dev/traces/{TRACE}/artifacts/traces.json") as file:
        assert json.load(file) == {"spans": [span()]}
    versions = read(
        engine, "SELECT name, version, source, creation_time, user_id FROM public.model_versions ORDER BY version"
    )
    assert versions == [
        ("dev-greeting", 1, "prompt-template", 10, "jane"),
        ("dev-greeting", 2, "prompt-template", 10, "jane"),
    ]
    ((outputs, source),) = read(engine, "SELECT outputs, source FROM public.evaluation_dataset_records")
    assert (outputs, source) == ({"mlflow_wrapped": {}}, {"source_type": "HUMAN", "source_data": {}})


def test_again_only_what_is_new(send: Send, engine: sa.Engine) -> None:
    files = extras_export()
    send(packed(files))
    assert isinstance(files[TRACE_FILE], dict)
    assert isinstance(files[SET], dict)
    later: dict[str, bytes | Document] = copy.deepcopy(dict(files))
    later["notes/prompt.json"] = prompt(3)
    same = send(packed(later))["report"]
    assert [counted(same, kind) for kind in KINDS if kind != "prompts"] == [(0, 0, 1, 0)] * 5
    assert counted(same, "prompts") == (1, 0, 2, 0)
    later[TRACE_FILE] = changed(
        changed(files[TRACE_FILE], "mlflow.info.state", "ERROR"),
        "mlflow.info.assessments",
        [assessment(feedback={"value": 0.5}), assessment(assessment_id="a-2", overrides="a-1")],
    )
    later[SPANS] = {"spans": [span(name="renamed"), span(span_id="00000000000000ff", parent_span_id="KpcmbS94kSQ=")]}
    record = files[SET]["mlflow"]["evaluation_dataset"]["records"][0]
    rows = [{**record, "expectations": {"a": 2}}, {**record, "dataset_record_id": "dr-2", "inputs": {"q": "new"}}]
    later[SET] = changed(files[SET], "mlflow.evaluation_dataset.records", rows)
    report = send(packed(later))["report"]
    assert counted(report, "traces") == (0, 1, 0, 0)
    assert [counted(report, kind) for kind in ("spans", "assessments", "evaluation_records")] == [(1, 1, 0, 0)] * 3
    assert counted(report, "evaluation_datasets") == (0, 1, 0, 0)
    assert read(engine, "SELECT status FROM public.trace_info") == [("ERROR",)]
    assert read(engine, "SELECT name FROM public.spans ORDER BY name") == [("outer",), ("renamed",)]
    assert read(engine, "SELECT aggregate_value, is_numeric_value FROM public.assessments ORDER BY assessment_id") == [
        *((0.5, True), (1.0, False)),
    ]
    assert read(engine, "SELECT count(*) FROM public.entity_associations") == [(1,)]


def test_another_workspace_gets_ids_of_its_own(send: Send, engine: sa.Engine) -> None:
    send(packed(extras_export()))
    before = read(engine, "SELECT * FROM public.trace_info") + read(engine, "SELECT * FROM public.evaluation_datasets")
    done = send(packed(extras_export()), "other", model_prefix="other-")
    report = done["report"]
    new = {row["kind"]: row["id"] for row in report["new_ids"]}
    assert [row["original_id"] for row in report["new_ids"]] == [TRACE, DATASET]
    query = "SELECT trace_id, content FROM public.spans WHERE trace_id <> :id"
    ((trace_id, content),) = read(engine, query, id=TRACE)
    assert trace_id == new["trace"]
    told = json.loads(content)
    assert (
        "tr-" + base64.b64decode(told["trace_id"]).hex()
        == json.loads(told["attributes"]["mlflow.traceRequestId"])
        == trace_id
    )
    assert read(engine, "SELECT count(*), count(DISTINCT trace_id) FROM public.assessments") == [(2, 2)]
    assert read(engine, "SELECT count(DISTINCT dataset_id) FROM public.evaluation_dataset_records") == [(2,)]
    query = "SELECT value FROM public.trace_request_metadata WHERE request_id = :id AND key = 'mlflow.sourceRun'"
    ((run_id,),) = read(engine, query, id=trace_id)
    assert read(engine, "SELECT workspace FROM registry.runs WHERE run_id = :id", id=run_id) == [("other",)]
    after = read(engine, "SELECT * FROM public.trace_info WHERE request_id = :id", id=TRACE)
    after += read(engine, "SELECT * FROM public.evaluation_datasets WHERE dataset_id = :id", id=DATASET)
    assert after == before
    again = changed(extras_export()[TRACE_FILE], "mlflow.info.state", "ERROR")  # type: ignore[arg-type]
    assert counted(
        send(packed({**extras_export(), TRACE_FILE: again}), "other", model_prefix="other-")["report"], "traces"
    ) == (*(0, 1, 0, 0),)


def test_prompts_are_never_offered_as_models(send: Send, places: FlaskClient) -> None:
    assert send(packed({"p/prompt.json": prompt()}))["state"] == "done"
    assert places.get("/v1/models").get_json() == {"models": []}
    for path in ("", "/versions/1"):
        assert places.get(f"/v1/models/greeting{path}").status_code == 404
    places.put("/v1/environments/edge", json={"stages": ["Live"]})
    stage = places.put("/v1/environments/edge/models/greeting/stages/Live", json={"version": 1})
    assert stage.status_code == 404
    theirs = send(packed({"p/prompt.json": prompt()}), "other")
    assert (theirs["state"], theirs["problem"]["field"]) == ("refused", "model_prefix")
    registered = {f"{RUN}/run.json": extras_export()[f"runs/{RUN}/run.json"], f"{RUN}/artifacts/model/x": b"1"}
    mine = send(packed(registered), register="model", model_name="greeting")
    assert (mine["state"], mine["problem"]["field"]) == ("refused", "model_name")


def test_what_the_export_lacks_is_told(send: Send) -> None:
    files = extras_export()
    lacking = changed(files["experiment.json"], "mlflow.traces", [TRACE, "tr-absent", "tr-failed"])  # type: ignore[arg-type]
    del files[SPANS]
    files |= {
        "experiment.json": lacking,
        "traces/traces.json": {"info": {"failed_traces": ["tr-failed"]}},
        "prompts/prompts_summary.json": {"mlflow": {"failed_exports": 1}},
    }
    report = send(packed(files))["report"]
    assert {(row["kind"], row["name"]) for row in report["failed"]} == {
        ("span", f"{TRACE}/2a97266d2f789124"),
        ("trace", "tr-absent"),
        ("trace", "tr-failed"),
        ("prompt", ""),
    }
    assert [counted(report, kind)[3] for kind in ("spans", "traces", "prompts")] == [1, 2, 1]


def test_permissions_and_notebooks_are_kept_and_never_applied(send: Send, places: FlaskClient, parts: Parts) -> None:
    tokens = places.get("/v1/tokens").get_json()
    name = "mlflow317-master-stubdbx-experiment-notebooks"
    report = send((EXPORTS / f"{name}.tar.gz").read_bytes())["report"]
    (row,) = report["experiments"]
    (origin,) = places.get(f"/v1/experiments/{row['id']}").get_json()["origins"]
    granted = origin["lineage"]["unknown"]["permissions"]["permissions"]["access_control_list"]
    assert [entry.get("user_name") or entry["group_name"] for entry in granted] == ["jane.doe@example.com", "admins"]
    assert places.get("/v1/tokens").get_json() == tokens
    run_id = "994c4c9f8bbb4f7e8356a70efc02e8b6"
    lineage = places.get(f"/v1/workspaces/dev/runs/{run_id}").get_json()["lineage"]
    assert lineage["notebook"] == "/Users/jane.doe@example.com/orders/Train Outliers"
    kept = parts.objects.list(f"mlflow/workspaces/dev/{run_id}/artifacts/notebooks/")
    assert {info.key.rpartition("/")[2] for info in kept} == {
        "manifest.json",
        *(f"Train Outliers.{kind}" for kind in ("source", "jupyter", "dbc", "html")),
    }
