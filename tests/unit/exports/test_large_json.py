"""Long run files are read as short ones are, without being held."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import ExportRefused
from service.exports import large_json
from service.exports.documents import read_run
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


def test_a_value_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "MAX_VALUE", 1000)
    with pytest.raises(ExportRefused, match="over 1000 characters"):
        _large({"a": "x" * 5000})
    assert _large({"mlflow": {"metrics": {"m": [{"value": 1.0}] * 5000}}})["mlflow"]["metrics"]["m"].values[-1] == 1.0


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
