"""Whatever is wrong with an export is named in a problem, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.exports.plain import MAX_DEPTH
from tests.api.conftest import ORDERS, OTHER_RUN, Refuse
from tests.api.importing import IMPORTS
from tests.api.traces import Unchanged
from tests.small_exports import (
    MLMODEL,
    RUN,
    Files,
    changed,
    experiment,
    logged_model,
    model_export,
    packed,
    registered_model,
    run,
    version,
)

STAGE = "/v1/environments/prod/models/orders/stages/Production"
RUN_FILE = f"{RUN}/run.json"
MODEL_FIELD = "mlflow.registered_model"


def with_run(field: str, value: object) -> Files:
    return {**model_export(), RUN_FILE: changed(run(), field, value)}


def with_model(field: str, value: object) -> Files:
    return {**model_export(), "model.json": changed(registered_model(), f"{MODEL_FIELD}.{field}", value)}


def test_files_that_are_no_json(refused: Refuse) -> None:
    for text in (b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000, b'{"a":' * 100_000):
        refused(packed({**model_export(), RUN_FILE: text}), 422, "export-refused", file=RUN_FILE)


def test_fields_of_the_wrong_type(refused: Refuse) -> None:
    """Every field is tried with the readers; here it is told through the whole way."""
    cases: list[tuple[Files, str, str]] = [
        (with_run("mlflow", []), RUN_FILE, "mlflow"),
        (with_run("mlflow.info.run_id", {"a": 1}), RUN_FILE, "mlflow.info.run_id"),
        (with_run("mlflow.info.start_time", "²"), RUN_FILE, "mlflow.info.start_time"),
        (with_run("mlflow.params", {"a\0b": "1"}), RUN_FILE, "mlflow.params.a\N{REPLACEMENT CHARACTER}b"),
        (with_run("mlflow.params", {"a": "\ud800"}), RUN_FILE, "mlflow.params.a"),
        (with_run("mlflow.metrics.loss", [{"value": "x"}]), RUN_FILE, "mlflow.metrics.loss.value"),
        (with_run("mlflow.traces", ["\0"]), RUN_FILE, "mlflow.traces[0]"),
        (with_run("mlflow.newer", "\0"), RUN_FILE, "mlflow.newer"),
        (with_model("versions[0].version", "first"), "model.json", f"{MODEL_FIELD}.versions[0].version"),
        (with_model("tags", [{"value": "x"}]), "model.json", f"{MODEL_FIELD}.tags[0].key"),
        (
            {**model_export(), "experiment.json": changed(experiment(), "info.failed_runs", ["\ud800"])},
            "experiment.json",
            "info.failed_runs[0]",
        ),
        (
            {**model_export(), "m/logged_model.json": logged_model(source_run_id="x" * 33)},
            "m/logged_model.json",
            "mlflow.source_run_id",
        ),
    ]
    for files, file, field in cases:
        refused(packed(files), 422, "export-refused", file=file, field=field)


@pytest.mark.parametrize("limit", ["at", "over"])
def test_texts_as_long_as_mlflow_s_tables_hold(
    limit: str, places: FlaskClient, run_imports: Callable[[], int], refused: Refuse
) -> None:
    """The readers' limits are the tables': at the limit everything is taken in, beyond it the field is named."""
    over = int(limit == "over")
    fields: dict[str, tuple[str, object]] = {
        "mlflow.info.run_name": (RUN_FILE, "ü" * (250 + over)),
        "mlflow.info.user_id": (RUN_FILE, "ü" * (256 + over)),
        "mlflow.params.depth": (RUN_FILE, "ü" * (8000 + over)),
        "mlflow.tags.long": (RUN_FILE, "ü" * (8000 + over)),
        f"{MODEL_FIELD}.name": ("model.json", "ü" * (256 + over)),
        f"{MODEL_FIELD}.description": ("model.json", "ü" * (5000 + over)),
        f"{MODEL_FIELD}.versions[0].description": ("model.json", "ü" * (5000 + over)),
        f"{MODEL_FIELD}.versions[0].user_id": ("model.json", "ü" * (256 + over)),
        f"{MODEL_FIELD}.versions[0].run_link": ("model.json", "ü" * (500 + over)),
        "mlflow.experiment.experiment_id": ("experiment.json", "9" * (64 + over)),
        "mlflow.status_message": ("m/logged_model.json", "ü" * (1000 + over)),
        "mlflow.name": ("m/logged_model.json", "ü" * (500 + over)),
        "mlflow.model_type": ("m/logged_model.json", "ü" * (500 + over)),
        "mlflow.source_run_id": ("m/logged_model.json", "c" * (32 + over)),
    }
    sound: dict[str, Any] = {
        **model_export(),
        "experiment.json": experiment(),
        "m/logged_model.json": logged_model(),
    }
    if over:
        for field, (file, value) in fields.items():
            archive = packed({**sound, file: changed(sound[file], field, value)})
            refused(archive, 422, "export-refused", file=file, field=field)
        return
    for field, (file, value) in fields.items():
        sound[file] = changed(sound[file], field, value)
    metric = {"key": "ü" * 250, "value": 1, "timestamp": 2**63 - 1, "step": 1 - 2**63}
    sound[RUN_FILE] = changed(sound[RUN_FILE], "mlflow.metrics", {metric["key"]: [metric]})
    sound["experiment.json"] = changed(sound["experiment.json"], "mlflow.experiment.tags", {"ü" * 250: "ü" * 50_000})
    sent = places.post(IMPORTS, data=packed(sound))
    run_imports()
    done = places.get(sent.headers["Location"]).get_json()
    assert done["state"] == "done", done["problem"]


def test_options_that_the_export_does_not_fit(refused: Refuse, places: FlaskClient) -> None:
    several = {
        "a/model.json": registered_model(),
        "b/model.json": registered_model(name="other"),
        "a/experiment.json": experiment(),
        "b/experiment.json": experiment(experiment_id="8", name="b"),
        **{f"a/{name}": content for name, content in model_export().items() if name != "model.json"},
    }
    archive = packed(several)
    refused(archive, 422, "export-refused", {"model_name": "one"}, field="model_name")
    refused(archive, 422, "export-refused", {"experiment_name": "one"}, field="experiment_name")
    absent = {"register": "absent/path", "model_name": "one"}
    document = refused(packed(model_export()), 422, "export-refused", absent, field="register")
    assert "'absent/path'" in document["detail"]
    long = packed({"experiment.json": experiment(name="x" * 254), RUN_FILE: run()})
    refused(long, 422, "export-refused", field="experiment_name")
    for name in ("a/b", "a:b", " "):
        refused(packed(with_model("name", name)), 422, "invalid-input", field="model")


def test_names_that_are_someone_else_s(
    refused: Refuse, places: FlaskClient, run_imports: Callable[[], int], engine: sa.Engine
) -> None:
    places.post("/v1/workspaces/other/imports", data=ORDERS)
    run_imports()
    refused(ORDERS, 409, "conflict", field="model_name")
    mine = packed({RUN_FILE: run(), f"{RUN}/artifacts/model/model.pkl": b"mine"})
    refused(mine, 409, "conflict", {"register": "model", "model_name": "orders"}, field="model_name")
    with engine.begin() as connection:
        for name in ("dev/experiment 7", "hosted"):
            connection.execute(
                sa.text(
                    "INSERT INTO public.experiments (name, workspace, lifecycle_stage) "
                    "VALUES (:name, 'default', 'active')"
                ),
                {"name": name},
            )
        connection.execute(
            sa.text("INSERT INTO public.registered_models (workspace, name) VALUES ('default', 'hosted model')")
        )
    refused(mine, 409, "conflict", field="experiment_name")
    refused(mine, 409, "conflict", {"experiment_name": "hosted"}, field="experiment_name")
    refused(mine, 409, "conflict", {"experiment_name": "other/experiment 7"}, field="experiment_name")
    theirs = {"experiment_name": "mine", "register": "model", "model_name": "hosted model"}
    refused(mine, 409, "conflict", theirs, field="model_name")


def test_stages_that_the_environment_does_not_have(refused: Refuse, places: FlaskClient) -> None:
    places.put("/v1/environments/edge", json={"stages": ["Live"]})
    refused(ORDERS, 404, "stage-not-found", {"environment": "edge"}, kind="stage", name="Production")


def test_odd_exports_that_are_sound(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    """What the readers let through is stored and shown again, however odd."""
    odd = b"""
flavors:
  2026-01-31: {1: .nan, big: 0x1%s, bytes: !!binary aGk=, "quote\\\\u0000": "a\\\\u0000"}
signature: {inputs: '["\\ud800"]', outputs: '%s', params: '[NaN]'}
""" % (b"0" * 5000, b"[" * 5000 + b"]" * 5000)
    nested = json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    files = {
        **with_run("mlflow.newer", {"deep": nested, "nan": [float("nan")], "big": 10**300}),
        f"{RUN}/artifacts/model/MLmodel": odd,
    }
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    done = places.get(sent.headers["Location"]).get_json()
    assert done["state"] == "done", done["problem"]
    shown = places.get("/v1/models/orders/versions/1")
    assert shown.status_code == 200
    body = shown.get_json()
    assert body["flavors"]["2026-01-31"]["1"] == "NaN"
    assert body["flavors"]["2026-01-31"]["quote\\u0000"] == "a\\u0000"
    assert body["signature"]["inputs"] == '["\\ud800"]'
    assert body["lineage"]["source"]["unknown"]["newer"]["nan"] == ["NaN"]
    assert places.get(f"/v1/runs/{RUN}").status_code == 200


def test_versions_are_unharmed_by_what_is_refused(
    filled: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged
) -> None:
    """A later, broken export of the same model changes nothing that was handed out before."""
    before = filled.get(STAGE)
    files: Files = {
        "model.json": registered_model(version("1", description="changed"), version("3", OTHER_RUN)),
        RUN_FILE: run(),
        f"{RUN}/artifacts/model/MLmodel": MLMODEL,
        f"{OTHER_RUN}/run.json": changed(run(OTHER_RUN), "mlflow.info.end_time", "late"),
    }
    with nothing_left(refused=1):
        filled.post(IMPORTS, data=packed(files))
        run_imports()
    after = filled.get(STAGE)
    assert (after.get_json(), after.headers["ETag"]) == (before.get_json(), before.headers["ETag"])
