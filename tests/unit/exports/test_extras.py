"""Traces, spans, prompts and evaluation datasets: what is read, and what each field may not be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from service.domain.errors import ExportRefused
from service.exports.evaluation import read_evaluation_dataset
from service.exports.prompts import read_failed, read_prompt
from service.exports.spans import SpanRecord, read_spans
from service.exports.survey import Survey, survey
from service.exports.traces import read_trace
from tests.small_exports import (
    DATASET,
    RUN,
    TRACE,
    Files,
    assessment,
    changed,
    evaluation_dataset,
    extras_export,
    members,
    prompt,
    span,
    trace,
)

DEEP: Any = json.loads("[" * 65 + "]" * 65)


def surveyed(files: Files) -> tuple[Survey, list[SpanRecord]]:
    spans: list[SpanRecord] = []
    return survey(members(files), lambda _: None, on_spans=spans.extend), spans


def test_a_trace_field_by_field() -> None:
    record = read_trace(trace(newer=[1]), "trace.json", "folder")
    assert (record.trace_id, record.experiment_id, record.request_time, record.duration) == (
        TRACE,
        "7",
        1700000000000,
        5,
    )
    assert (record.state, record.request_preview, record.response_preview) == ("OK", "ask", "answer")
    assert record.client_request_id is None
    assert record.metadata["mlflow.sourceRun"] == RUN
    assert record.spans_in_database
    assert record.span_ids == ("2a97266d2f789124",)
    assert record.unknown == {"newer": [1]}
    (told,) = record.assessments
    assert (told.assessment_id, told.name, told.kind, told.value, told.error) == (
        "a-1",
        "correct",
        "feedback",
        True,
        None,
    )
    assert (told.source_type, told.source_id, told.run_id, told.span_id) == ("HUMAN", "jane", RUN, None)
    assert (told.rationale, told.valid, told.metadata) == ("because", True, {"k": "v"})
    assert (told.creation_time, told.last_update_time) == (1, 2)


def test_a_trace_of_a_2_x_client() -> None:
    info = {
        "request_id": "0123",
        "experiment_id": "7",
        "timestamp_ms": 3,
        "execution_time_ms": 4,
        "status": "TRACE_STATUS_UNSPECIFIED",
        "request_metadata": {"mlflow.traceInputs": "x"},
        "tags": {},
    }
    record = read_trace({"mlflow": {"info": info, "data": []}}, "trace.json", "folder")
    assert (record.trace_id, record.experiment_id, record.request_time, record.duration) == ("0123", "7", 3, 4)
    assert (record.state, record.metadata, record.unknown) == ("STATE_UNSPECIFIED", {"mlflow.traceInputs": "x"}, {})
    assert not record.spans_in_database


ASSESSMENTS: dict[str, tuple[dict[str, Any], str, Any, Any]] = {
    "an expectation": (
        {"assessment_type": "expectation", "feedback": None, "expectation": [1]},
        "expectation",
        [1],
        None,
    ),
    "an issue": (
        {"assessment_type": None, "feedback": None, "issue": {"issue_name": "slow", "x": 1}},
        "issue",
        {"issue_name": "slow"},
        None,
    ),
    "an error": (
        {"feedback": {"value": None, "error": {"error_code": "E", "newer": 1}}},
        "feedback",
        None,
        {"error_code": "E", "error_message": None, "stack_trace": None},
    ),
}


@pytest.mark.parametrize("what", ASSESSMENTS)
def test_assessments(what: str) -> None:
    fields, kind, value, error = ASSESSMENTS[what]
    (told,) = read_trace(trace(assessments=[assessment(**fields)]), "trace.json", "folder").assessments
    assert (told.kind, told.value, told.error) == (kind, value, error)


def test_spans_of_both_spellings() -> None:
    cost = {"mlflow.llm.cost": '{"input_cost": 0.5, "total_cost": NaN}', "mlflow.llm.model": '"m"'}
    odd = span(span_id="00000000000000ff", parent_span_id="KpcmbS94kSQ=", status={"code": "ERROR"}, attributes=cost)
    first, second = read_spans({"spans": [span(), odd]}, "traces.json", TRACE)
    assert (first.span_id, first.parent_id, first.kind, first.status) == ("2a97266d2f789124", None, "CHAIN", "OK")
    assert (first.start_time, first.end_time) == (1700000000000000000, 1700000000005000000)
    assert first.document == span()
    assert (second.span_id, second.parent_id, second.kind, second.status) == (
        *("00000000000000ff", "2a97266d2f789124", "UNKNOWN", "ERROR"),
    )
    assert (second.costs, second.model, second.provider) == ({"input_cost": 0.5}, "m", None)


def test_prompts_of_text_and_of_messages() -> None:
    text = read_prompt(
        prompt(tags={"a": "1", "mlflow.prompt.text": "other", "mlflow.prompt.is_prompt": "no"}, newer=1), "p"
    )
    assert (text.name, text.version, text.text, text.chat) == ("greeting", 1, "Hi {{name}}!", False)
    assert (text.description, text.user, text.tags, text.unknown) == ("first", "jane", {"a": "1"}, {"newer": 1})
    assert (text.creation_time, text.last_updated_time) == (10, 11)
    messages = [{"role": "user", "content": "Hi"}]
    chat = read_prompt(prompt(template=messages), "p")
    assert (json.loads(chat.text), chat.chat) == (messages, True)
    assert chat.digest != read_prompt(prompt(template=chat.text), "p").digest


def test_an_evaluation_dataset_field_by_field() -> None:
    record = read_evaluation_dataset(evaluation_dataset(newer={"x": 1}), "file")
    assert (record.dataset_id, record.name, record.digest) == (DATASET, "qa", "abc")
    assert (record.experiment_ids, record.tags, record.unknown) == (("7",), {"stage": "test"}, {"newer": {"x": 1}})
    (row,) = record.rows
    assert row.input_hash == hashlib.sha256(json.dumps({"q": "ü?"}).encode()).hexdigest()
    assert [json.loads(text or "") for text in (row.inputs, row.outputs, row.expectations, row.tags)] == [
        *({"q": "ü?"}, {}, {"a": 1}, {"t": "1"}),
    ]
    assert json.loads(row.source or "") == {"source_type": "HUMAN", "source_data": {}}


Reader = Callable[[dict[str, Any]], Any]
INFO, ROW, RECORD = "mlflow.info", "mlflow.info.assessments[0]", "mlflow.evaluation_dataset.records[0]"


def _trace(document: dict[str, Any]) -> Any:
    return read_trace(document, "file", "folder")


def _spans(document: dict[str, Any]) -> Any:
    return read_spans(document, "file", TRACE)


def _prompt(document: dict[str, Any]) -> Any:
    return read_prompt(document, "file")


def _dataset(document: dict[str, Any]) -> Any:
    return read_evaluation_dataset(document, "file")


SPANS = {"spans": [span()]}
TWICE = evaluation_dataset()["mlflow"]["evaluation_dataset"]["records"] * 2
BAD: list[tuple[Reader, dict[str, Any], str, object, str]] = [
    # reader, sound document, the changed field, its value, the field that the refusal names
    (_trace, trace(), "mlflow.info", None, "mlflow.info"),
    (_trace, trace(), f"{INFO}.trace_id", "x" * 251, f"{INFO}.trace_id"),
    (_trace, trace(), f"{INFO}.trace_id", "", f"{INFO}.request_id"),
    (_trace, trace(), f"{INFO}.state", "GOOD", f"{INFO}.state"),
    (_trace, trace(), f"{INFO}.request_time", None, f"{INFO}.request_time"),
    (_trace, trace(), f"{INFO}.execution_duration", 2**63, f"{INFO}.execution_duration"),
    (_trace, trace(), f"{INFO}.request_preview", "x" * 1001, f"{INFO}.request_preview"),
    (_trace, trace(), f"{INFO}.client_request_id", "x" * 51, f"{INFO}.client_request_id"),
    (_trace, trace(), f"{INFO}.tags", {"k": "x" * 8001}, f"{INFO}.tags.k"),
    (_trace, trace(), f"{INFO}.tags", {"mlflow.traceName": "x" * 4097}, f"{INFO}.tags.mlflow.traceName"),
    (_trace, trace(), f"{INFO}.trace_metadata", {"k\0": ""}, f"{INFO}.trace_metadata.k\N{REPLACEMENT CHARACTER}"),
    (_trace, trace(), f"{INFO}.trace_metadata", [1], f"{INFO}.trace_metadata"),
    (
        *(_trace, trace(), f"{INFO}.trace_metadata", {"mlflow.trace.session": "x" * 251}),
        f"{INFO}.trace_metadata.mlflow.trace.session",
    ),
    (_trace, trace(), f"{INFO}.newer", DEEP, f"{INFO}.newer"),
    (_trace, trace(), f"{INFO}.assessments", {}, f"{INFO}.assessments"),
    (_trace, trace(), f"{ROW}.assessment_type", "guess", f"{ROW}.assessment_type"),
    (_trace, trace(), f"{ROW}.assessment_id", None, f"{ROW}.assessment_id"),
    (_trace, trace(), f"{ROW}.feedback", {"value": DEEP}, f"{ROW}.feedback"),
    (_trace, trace(), f"{ROW}.feedback", {"error": {"error_message": "x"}}, f"{ROW}.feedback.error.error_code"),
    (_trace, trace(), f"{ROW}.source.source_type", "GHOST", f"{ROW}.source.source_type"),
    (_trace, trace(), f"{ROW}.create_time_ms", None, f"{ROW}.create_time_ms"),
    (_trace, trace(), "mlflow.data", [{"span_id": ""}], "mlflow.data[0].span_id"),
    (_spans, SPANS, "spans", {}, "spans"),
    (_spans, SPANS, "spans[0].span_id", "KpcmbS94kS", "spans[0].span_id"),
    (_spans, SPANS, "spans[0].span_id", "!!!!!!!!!!!=", "spans[0].span_id"),
    (_spans, SPANS, "spans[0].parent_span_id", "f" * 17, "spans[0].parent_span_id"),
    (_spans, SPANS, "spans[0].status", {"code": "FINE"}, "spans[0].status.code"),
    (_spans, SPANS, "spans[0].start_time_unix_nano", -1, "spans[0].start_time_unix_nano"),
    (_spans, SPANS, "spans[0].end_time_unix_nano", 2**63, "spans[0].end_time_unix_nano"),
    (_spans, SPANS, "spans[0].attributes", None, "spans[0].attributes"),
    (_spans, SPANS, "spans[0].attributes", {"k": DEEP}, "spans[0].attributes"),
    (_spans, SPANS, "spans[0].name", "\0", "spans[0].name"),
    (_prompt, prompt(), "mlflow.prompt.name", "", "mlflow.prompt.name"),
    (_prompt, prompt(), "mlflow.prompt.version", 0, "mlflow.prompt.version"),
    (_prompt, prompt(), "mlflow.prompt.version", 2**31, "mlflow.prompt.version"),
    (_prompt, prompt(), "mlflow.prompt.template", None, "mlflow.prompt.template"),
    (_prompt, prompt(), "mlflow.prompt.template", [{"content": "x"}], "mlflow.prompt.template[0].role"),
    (_prompt, prompt(), "mlflow.prompt.template", ["x"], "mlflow.prompt.template"),
    (_prompt, prompt(), "mlflow.prompt.commit_message", "x" * 5001, "mlflow.prompt.commit_message"),
    (_dataset, evaluation_dataset(), "mlflow.evaluation_dataset.dataset_id", "x" * 37, f"{RECORD[:-11]}.dataset_id"),
    (_dataset, evaluation_dataset(), "mlflow.evaluation_dataset.name", None, "mlflow.evaluation_dataset.name"),
    (
        _dataset,
        evaluation_dataset(),
        "mlflow.evaluation_dataset.experiment_ids",
        ["x" * 65],
        f"{RECORD[:-11]}.experiment_ids",
    ),
    (_dataset, evaluation_dataset(), "mlflow.evaluation_dataset.records", TWICE, f"{RECORD[:-3]}"),
    (_dataset, evaluation_dataset(), f"{RECORD}.dataset_record_id", "x" * 37, f"{RECORD}.dataset_record_id"),
    (_dataset, evaluation_dataset(), f"{RECORD}.inputs", None, f"{RECORD}.inputs"),
    (_dataset, evaluation_dataset(), f"{RECORD}.inputs", {"q": DEEP}, f"{RECORD}.inputs"),
    (_dataset, evaluation_dataset(), f"{RECORD}.outputs", float("nan"), f"{RECORD}.outputs"),
    (_dataset, evaluation_dataset(), f"{RECORD}.tags", ["x"], f"{RECORD}.tags"),
    (_dataset, evaluation_dataset(), f"{RECORD}.source.source_type", "GHOST", f"{RECORD}.source.source_type"),
]


@pytest.mark.parametrize(
    ("reader", "sound", "field", "value", "named"), BAD, ids=[f"{row[2]} {row[3]!r:.20}" for row in BAD]
)
def test_bad_fields_are_named(reader: Reader, sound: dict[str, Any], field: str, value: object, named: str) -> None:
    reader(sound)
    with pytest.raises(ExportRefused) as caught:
        reader(changed(sound, field, value))
    assert caught.value.where == {"file": "file", "field": named}


def test_everything_is_found_and_nothing_is_unread() -> None:
    found, spans = surveyed(
        {**extras_export(), "prompts_summary.json": {"mlflow": {"failed_exports": 2}}, "traces.json": {}}
    )
    assert list(found.extras.traces) == [TRACE]
    assert found.extras.spans == {TRACE: ["2a97266d2f789124"]}
    assert [(item.trace_id, item.span_id) for item in spans] == [(TRACE, "2a97266d2f789124")]
    assert list(found.extras.prompts) == [("greeting", 1), ("greeting", 2)]
    assert list(found.extras.evaluation_datasets) == [DATASET]
    assert [file.path for file in found.artifacts[f"traces/{TRACE}"]] == ["traces.json"]
    assert (found.extras.failed_prompts, found.unread) == (2, [])


@pytest.mark.parametrize("above", ["", "a/", "traces/"])
def test_traces_without_their_experiment(above: str) -> None:
    """`export-traces` names no folder but those of the traces, `export-trace` none at all."""
    for folder in (f"{above}{TRACE}/", "") if not above else (f"{above}{TRACE}/",):
        found, spans = surveyed({f"{folder}artifacts/traces.json": {"spans": [span()]}, f"{folder}trace.json": trace()})
        assert (list(found.extras.traces), len(spans), found.extras.bad_spans, found.unread) == ([TRACE], 1, {}, [])


def test_a_run_s_own_file_of_that_name_is_an_artifact() -> None:
    found, spans = surveyed({**extras_export(), f"runs/{RUN}/artifacts/traces.json": {"spans": [span(name="other")]}})
    assert [item.name for item in spans] == ["outer"]
    assert [file.path for file in found.artifacts[f"runs/{RUN}"]] == ["traces.json"]


def test_failures_are_bounded() -> None:
    assert read_failed({"mlflow": {"failed_exports": 10**15}}, "file") == 1000
    assert read_failed({"mlflow": {"failed_exports": -1}}, "file") == 0
    assert read_failed({}, "file") == 0


@pytest.mark.parametrize("bad", [b"no JSON", b"[" * 100_000, {"spans": [{"context": {}}]}], ids=["text", "deep", "old"])
@pytest.mark.parametrize("spans_first", [True, False])
def test_spans_that_cannot_be_read(bad: Any, spans_first: bool) -> None:
    """They refuse the export where they would be rows; in an older trace they stay the file that they are."""
    name = f"traces/{TRACE}/artifacts/traces.json"
    for tags, refused in (({"mlflow.trace.spansLocation": "TRACKING_STORE"}, True), ({}, False)):
        document = {f"traces/{TRACE}/trace.json": trace(tags=tags)}
        files: Files = {name: bad, **document} if spans_first else {**document, name: bad}
        if refused:
            with pytest.raises(ExportRefused) as caught:
                surveyed(files)
            assert caught.value.where["file"] == name
        else:
            found, spans = surveyed(files)
            assert (spans, [file.path for file in found.artifacts[f"traces/{TRACE}"]]) == ([], ["traces.json"])


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({f"traces/{TRACE}/trace.json": trace("tr-other")}, "mlflow.info.trace_id"),
        ({"tr-other/trace.json": trace("tr-other"), "tr-other/artifacts/traces.json": {"spans": [span()]}}, "spans"),
        ({"a/prompt.json": prompt(), "b/prompt.json": prompt(template="other")}, "mlflow.prompt.version"),
        (
            {"a/evaluation_dataset.json": evaluation_dataset(), "b/evaluation_dataset.json": evaluation_dataset()},
            "mlflow.evaluation_dataset.dataset_id",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(files: Files, field: str) -> None:
    with pytest.raises(ExportRefused) as caught:
        surveyed(files)
    assert caught.value.where["field"] == field
