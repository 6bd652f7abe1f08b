"""What an import asks of the database at once, however long the export is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.small_exports import (
    LOGGED,
    RUN,
    TRACE,
    Document,
    changed,
    experiment,
    logged_model,
    packed,
    run,
    span,
    trace,
)

IMPORTS = "/v1/workspaces/dev/imports"
MANY = 1500


@pytest.fixture
def asked(engine: sa.Engine) -> Iterator[dict[str, int]]:
    """The most rows that any statement answered with, and the most values that any was given."""
    most = {"rows": 0, "values": 0}

    def count(_: object, cursor: Any, statement: str, values: Any, __: object, many: bool) -> None:
        most["values"] = max(most["values"], len(values) if isinstance(values, dict) else 0)
        if cursor.description is not None:
            most["rows"] = max(most["rows"], cursor.rowcount)

    sa.event.listen(engine, "after_cursor_execute", count)
    yield most
    sa.event.remove(engine, "after_cursor_execute", count)


def export(value: float) -> bytes:
    """One run with many points and one trace with many spans, which all change with `value`."""
    points = [{"value": value, "timestamp": n, "step": n} for n in range(MANY)]
    spans = [
        span(span_id=f"{n:016x}", attributes={"mlflow.traceRequestId": f'"{TRACE}"', "v": value}) for n in range(MANY)
    ]
    files: dict[str, bytes | Document] = {
        "experiment.json": experiment(),
        f"runs/{RUN}/run.json": run(metrics={"loss": points}),
        f"traces/{TRACE}/trace.json": changed(trace(), "mlflow.data", []),
        f"traces/{TRACE}/artifacts/traces.json": {"spans": spans},
    }
    return packed(files)


def test_changed_points_and_spans_are_counted_by_the_database(
    places: FlaskClient, run_imports: Callable[[], int], asked: dict[str, int]
) -> None:
    assert places.post(IMPORTS, data=export(0.5)).status_code == 202
    run_imports()
    asked["rows"] = 0
    sent = places.post(IMPORTS, data=export(1.5))
    run_imports()
    counts = places.get(sent.headers["Location"]).get_json()["report"]["counts"]
    assert counts["metrics"] | {"found": 0} == {"created": MANY, "updated": 0, "skipped": 0, "failed": 0, "found": 0}
    assert counts["spans"] | {"found": 0} == {"created": 0, "updated": MANY, "skipped": 0, "failed": 0, "found": 0}
    assert counts["runs"]["updated"] == counts["traces"]["updated"] == 1
    assert 0 < asked["rows"] < 200


def test_what_logged_models_have_is_written_in_pieces(
    places: FlaskClient, run_imports: Callable[[], int], asked: dict[str, int], engine: sa.Engine
) -> None:
    metrics = [{"key": f"m{n}", "value": 1.0, "timestamp": n, "step": n, "run_id": RUN} for n in range(MANY)]
    texts = {f"key {n}": "x" for n in range(MANY)}
    outputs = [{"model_id": f"m-{n}", "step": n} for n in range(MANY)]
    files: dict[str, bytes | Document] = {
        "experiment.json": experiment(tags=texts),
        f"runs/{RUN}/run.json": run(outputs={"model_outputs": outputs}),
        f"{LOGGED}/logged_model.json": logged_model(metrics=metrics, params=texts, tags=texts),
    }
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    assert places.get(sent.headers["Location"]).get_json()["state"] == "done"
    with engine.connect() as connection:
        for table in ("logged_model_metrics", "logged_model_params", "logged_model_tags", "inputs"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM public.{table}")) == MANY
    assert 0 < asked["values"] <= 12 * 500  # columns of the widest table and rows
