"""What an export may take of memory in all."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from service.domain.errors import TooLarge
from service.exports.archive import read_members
from service.exports.budget import MAX_KEPT, footprint
from service.exports.mlmodel import MLmodel
from service.exports.survey import survey
from tests.conftest import EXPORTS
from tests.small_exports import (
    LOGGED,
    RUN,
    TRACE,
    Document,
    Files,
    evaluation_dataset,
    experiment,
    logged_model,
    members,
    prompt,
    registered_model,
    run,
    trace,
    version,
)

MIB = 1024 * 1024
MANY = {f"tag {n}": "x" * 1000 for n in range(1000)}
UNKNOWN = {"unknown": [{}] * 10_000}
LONG: dict[str, Document | bytes] = {
    "experiment.json": experiment(tags=MANY),
    "run.json": run(tags=MANY),
    f"{LOGGED}/logged_model.json": logged_model(params=MANY),
    "model.json": registered_model(tags=MANY),
    "version.json": {"mlflow": {"model_version": version(name="orders", tags=MANY)}},
    f"traces/{TRACE}/trace.json": trace(**UNKNOWN),
    "traces.json": {"info": {"failed_traces": [str(n) for n in range(10_000)]}},
    "prompt.json": prompt(template="x" * MIB),
    "evaluation_dataset.json": evaluation_dataset(tags=MANY),
    "experiments.json": {"mlflow": {"experiments": [{"id": str(n)} for n in range(10_000)]}},
    "models.json": {"info": {"failed_models": [str(n) for n in range(10_000)]}},
    "logged_models.json": {"info": {"failed_logged_models": [str(n) for n in range(10_000)]}},
    "artifacts/MLmodel": b"flavors: {a: [" + b"{}," * 10_000 + b"]}",
}


def test_a_footprint_is_what_memory_it_takes() -> None:
    value: dict[str, Any] = json.loads(json.dumps({f"key {n}": ["text", n, {}, None] for n in range(100)}))
    record = MLmodel(flavors=value)
    assert footprint(record) - sys.getsizeof(record) == footprint(value) + footprint(None) + footprint(False)
    inside = sum(map(sys.getsizeof, [*value, *value.values(), *(item for row in value.values() for item in row)]))
    assert footprint(value) == sys.getsizeof(value) + inside


def test_a_footprint_is_not_counted_to_the_end() -> None:
    assert 1000 < footprint([[]] * 10_000, 1000) < sys.getsizeof([[]] * 10_000) + 2000


@pytest.mark.parametrize("file", LONG)
def test_all_that_is_kept_is_counted(file: str) -> None:
    files: Files = {file: LONG[file]}
    with pytest.raises(TooLarge, match="more than can be held") as refused:
        survey(members(files), lambda _: None, max_kept=MIB // 2)
    assert refused.value.where == {"file": file}


def test_many_documents_are_bounded_in_sum() -> None:
    """Each is a small one."""

    def runs() -> Iterator[Any]:
        for n in range(10_000):
            yield from members({f"{n}/run.json": run(f"{n}", tags={"note": "x" * 8000})})

    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="can be held") as refused:
            survey(runs(), lambda _: None, max_kept=10 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.where["file"].endswith("/run.json")
    assert peak < 12 * MIB


def test_what_a_run_has_beside_its_tags_is_not_kept() -> None:
    survey(members({f"{n}/run.json": run(f"{n}", params=MANY) for n in range(20)}), lambda _: None, max_kept=MIB)


def test_spans_that_cannot_be_read_are_not_kept() -> None:
    bad = b'{"spans": [' + b'{"a": "' + b"x" * MIB + b'"},' * 3 + b"1]}"
    files: Files = {
        f"{RUN}/run.json": run(),
        **{f"traces/tr-{n}/artifacts/traces.json": bad + b"]" * (n % 2) for n in range(8)},
    }
    stream = members(files)
    tracemalloc.start()
    try:
        found = survey(stream, lambda _: None)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.extras.bad_spans) == 8
    assert left < MIB


def test_real_exports_take_little() -> None:
    """Some 100,000 runs like these would fit."""
    for path in EXPORTS.glob("*-experiments.tar.gz"):
        with path.open("rb") as archive:
            found = survey(read_members(archive, path.stat().st_size), lambda _: None)
        assert footprint(list(found.runs.values())) / len(found.runs) < MAX_KEPT / 80_000
