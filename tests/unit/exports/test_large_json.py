"""Long run files are read as short ones are, without being held."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import ExportRefused, TooLarge
from service.exports import budget, large_json
from service.exports.documents import read_run
from service.exports.fields import read_json
from service.exports.large_json import read_large_run
from service.exports.survey import survey
from tests.small_exports import RUN, members, run

POINT = st.fixed_dictionaries(
    {"value": st.floats(allow_nan=False) | st.integers(-9, 9)},
    optional={"timestamp": st.integers(0, 2**62), "step": st.integers(-5, 5), "model_id": st.none()},
)
HISTORIES = st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.lists(POINT, max_size=5))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token falls on a border sometimes."""
    monkeypatch.setattr(large_json, "BLOCK", 3)
    monkeypatch.setattr(large_json, "POINTS", 2)


def _large(document: Any, **style: Any) -> dict[str, Any]:
    return read_large_run(io.BytesIO(json.dumps(document, **style).encode()), "run.json")


@settings(deadline=None, suppress_health_check=[], max_examples=150)
@given(HISTORIES, st.sampled_from([None, 2]), st.booleans())
def test_a_run_is_read_as_in_one_piece(metrics: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    document = run(metrics=metrics)
    read = read_run(_large(document, indent=indent, ensure_ascii=ascii_only), "run.json", "")
    assert read == read_run(document, "run.json", "")


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.text(), JSON))
def test_any_object_is_read_as_by_the_library(document: dict[str, Any]) -> None:
    assert _large(document) == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1",
        b"{",
        b'{"a"}',
        b'{"a":1',
        b'{"a":1,}',
        b'{"a":1}x',
        b"{1:2}",
        b'{"a" 1}',
        b'{"mlflow":{"metrics":{"m":[{"value":1.0}',
        b'{"mlflow":{"metrics":{"m":[{"value":1.0} {"value":1.0}]}}}',
        b'{"mlflow":{"metrics":{"m":[,]}}}',
        b'{"a":"\xff"}',
        b'{"a":"\xc3',
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ExportRefused, match="not JSON") as refused:
        read_large_run(io.BytesIO(text), "run.json")
    assert refused.value.where == {"file": "run.json"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[1]", "must hold a JSON object"),
        (b'{"a":' + b"[" * 100_000, "nested too deep"),
        (b'{"mlflow":{"metrics":{"m":[' + b"[" * 100_000, "nested too deep"),
    ],
)
def test_other_refusals(text: bytes, words: str) -> None:
    with pytest.raises(ExportRefused, match=words):
        read_large_run(io.BytesIO(text), "run.json")


@pytest.mark.parametrize(
    ("points", "field"),
    [
        ([{"value": None}], "mlflow.metrics.m.value"),
        ([{"value": 0.5, "timestamp": 2**63}], "mlflow.metrics.m.timestamp"),
        ([0.5], "mlflow.metrics.m"),
        ({"value": 0.5}, "mlflow.metrics.m"),
        ("x", "mlflow.metrics.m"),
    ],
)
def test_a_bad_point_is_named(points: Any, field: str) -> None:
    with pytest.raises(ExportRefused) as refused:
        read_run(_large(run(metrics={"m": points})), "run.json", "")
    assert refused.value.where == {"file": "run.json", "field": field}


def _metrics(**metrics: Any) -> dict[str, Any]:
    return {"mlflow": {"metrics": metrics}}


@pytest.mark.parametrize(
    "document",
    [
        {"a": "x" * 5000},
        {"a": "x" * 600, "b": ["x" * 600]},
        {"x" * 600: 1, "y" * 600: 1},
        {"mlflow": {"params": {"p": "x" * 1200}}},
        _metrics(m={"value": "x" * 1200}),
    ],
)
def test_what_is_held_beside_points_is_bounded(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MAX_TEXT", 1000)
    with pytest.raises(TooLarge, match=r"run\.json holds too long a value") as refused:
        _large(document)
    assert refused.value.where == {"file": "run.json"}
    assert _large(_metrics(m=[{"value": 1.0}] * 5000))["mlflow"]["metrics"]["m"].values[-1] == 1.0


@pytest.mark.parametrize(
    "document",
    [
        {"a": [{}] * 600},
        {"a": "[{,"[:1] * 1001},
        {"a": [0] * 400, "b": [0] * 400, "c": [0] * 400},
        {str(key): 0 for key in range(300)},
        _metrics(**{str(key): [] for key in range(300)}),
    ],
)
def test_what_becomes_many_objects_is_bounded(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (large_json, budget):
        monkeypatch.setattr(module, "MAX_STRUCTURE", 1000)
    with pytest.raises(TooLarge, match="more than 1000 objects, lists and commas"):
        _large(document)
    with pytest.raises(TooLarge, match="more than 1000 objects, lists and commas"):
        read_json(io.BytesIO(json.dumps({"a": [{}] * 600}).encode()), 10_000, "run.json")


def test_points_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MAX_POINTS", 5)
    points = [{"value": 1.0}] * 3
    with pytest.raises(TooLarge, match="more than 5 points"):
        _large(_metrics(m=points, n=points))
    with pytest.raises(TooLarge, match="too long a value"):
        _large(_metrics(m=[{"value": 1.0, "more": "x" * large_json.MAX_POINT}]))


HOSTILE = {
    "a document": ("experiment.json", b'{"a":[' + b"{}," * 3_000_000 + b"{}]}"),
    "metrics": (
        "run.json",
        b'{"mlflow":{"info":{"run_id":"a"},"metrics":{' + b",".join(b'"%d":[]' % n for n in range(300_000)) + b"}}}",
    ),
    "a long run": ("run.json", b'{"a":[' + b"{}," * 6_000_000 + b"{}]}"),
    "points of a long run": ("run.json", b'{"mlflow":{"metrics":{"m":[' + (b"[" + b"{}," * 100_000 + b"{}],") * 60),
    "metrics of a long run": ("run.json", b'{"mlflow":{"metrics":{' + b'"metric of some length":[],' * 700_000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_memory_of_a_hostile_document(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of some 3 to 18 MB, and up to half a GB as objects."""
    monkeypatch.setattr(large_json, "BLOCK", 1024 * 1024)
    monkeypatch.setattr(large_json, "POINTS", 1000)
    file, data = HOSTILE[case]
    stream = members({file: data})
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as refused:
            survey(stream, lambda _: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.where == {"file": file}
    assert peak < 100 * 1024 * 1024


def test_memory_of_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 points: 25 MB of JSON, some 100 MB as objects, 5 MB as columns."""
    monkeypatch.setattr(large_json, "BLOCK", 1024 * 1024)
    monkeypatch.setattr(large_json, "POINTS", 10_000)
    points = [{"value": step + 0.5, "timestamp": 10**12 + step, "step": step, "model_id": None} for step in range(1000)]
    document = run(metrics={f"metric_{key}": points for key in range(200)})
    data = {f"runs/{RUN}/run.json": json.dumps(document, indent=2).encode()}
    assert len(data[f"runs/{RUN}/run.json"]) > 16 * 1024 * 1024
    seen: list[float] = []
    tracemalloc.start()
    survey(members(data), lambda record: seen.extend(history.values[-1] for history in record.metrics))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == [999.5] * 200
    assert peak < 64 * 1024 * 1024
