"""Whatever is changed in the registry after an import, the comparison names it."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.compare import compare_import
from service.domain.layout import version_prefix
from service.settings import Settings
from service.stores.objects import S3Objects
from tests.e2e.conftest import Service
from tests.small_exports import DATASET as EVALUATION
from tests.small_exports import (
    LOGGED,
    MLMODEL,
    RUN,
    TRACE,
    Files,
    experiment,
    extras_export,
    logged_model,
    packed,
    registered_model,
    run,
    version,
)

SECOND = "2" * 32
THIRD = "3" * 32
LAST = "m-2"
POINTS = [
    {"value": 0.5, "timestamp": 1, "step": 1},
    {"value": math.nan, "timestamp": 2, "step": 2},
    {"value": 0.25, "timestamp": 3, "step": 3},
]
DATASET = {
    "dataset": {"name": "iris", "digest": "d", "source_type": "local", "source": "s", "schema": "{}", "profile": "{}"},
    "tags": [{"key": "context", "value": "train"}],
}
METRIC = {"key": "auc", "value": 0.5, "timestamp": 1, "step": 1, "run_id": RUN} | {
    "dataset_name": "iris",
    "dataset_digest": "d",
}
FILES: Files = {
    "experiment.json": experiment(last_update_time=2, tags={"a": "b"}),
    f"{RUN}/run.json": run(
        metrics={"loss": POINTS, "other": POINTS[:1]},
        tags={"mlflow.runName": "first", "tag": "value"},
        inputs={"dataset_inputs": [DATASET], "model_inputs": [{"model_id": LAST}]},
        outputs={"model_outputs": [{"model_id": LOGGED, "step": 3}]},
    ),
    f"{RUN}/artifacts/model/MLmodel": MLMODEL,
    f"{RUN}/artifacts/note.txt": b"note",
    f"{SECOND}/run.json": run(SECOND),
    f"{THIRD}/run.json": run(THIRD, tags={"mlflow.parentRunId": RUN}),
    f"{LOGGED}/logged_model.json": logged_model(
        status_message="done", model_type="agent", params={"p": "1"}, tags={"t": "1"}, metrics=[METRIC]
    ),
    f"{LOGGED}/artifacts/MLmodel": MLMODEL + b"# another\n",
    f"{LAST}/logged_model.json": logged_model(LAST),
    "model.json": registered_model(
        version(description="d", user_id="jane", run_link="l", tags={"t": "1"}, creation_timestamp=5)
        | {"last_updated_timestamp": 5},
        version("2", source=f"models:/{LOGGED}", creation_timestamp=6, last_updated_timestamp=7),
        version("3", source=f"models:/{LOGGED}", creation_timestamp=6),
        description="d",
        last_updated_timestamp=9,
        tags=[{"key": "t", "value": "1"}],
        aliases=[{"alias": "champion", "version": "2"}],
    ),
}
ABOUT_RUN = f"run_uuid = '{RUN}'"
ABOUT_MODEL = f"model_id = '{LOGGED}'"
FIRST_VERSION = "name = 'orders' AND version = 1"
# What is changed, and where the comparison says so.
CHANGES: list[tuple[str, set[str]]] = [
    ("UPDATE experiments SET lifecycle_stage = 'deleted', creation_time = 99, last_update_time = 99 WHERE {experiment}",
     {"experiment: lifecycle_stage", "experiment: creation_time", "experiment: last_update_time"}),
    ("UPDATE experiments SET name = 'renamed' WHERE {experiment}", {"experiment: name"}),
    ("UPDATE experiment_tags SET value = 'x' WHERE {experiment}", {"experiment: tags"}),
    (f"UPDATE runs SET name = 'x', user_id = 'x', status = 'FAILED', lifecycle_stage = 'deleted' WHERE {ABOUT_RUN}",
     {"run: name", "run: user", "run: status", "run: lifecycle_stage"}),
    (f"UPDATE runs SET start_time = 1, end_time = 2 WHERE {ABOUT_RUN}", {"run: start_time", "run: end_time"}),
    (f"UPDATE runs SET experiment_id = 0 WHERE {ABOUT_RUN}", {"run: experiment_id"}),
    (f"UPDATE params SET value = 'x' WHERE {ABOUT_RUN}", {"run: params"}),
    (f"UPDATE tags SET value = 'x' WHERE {ABOUT_RUN} AND key = 'tag'", {"run: tags"}),
    (f"UPDATE metrics SET value = 7 WHERE {ABOUT_RUN} AND key = 'loss' AND step = 1", {"run: metrics.loss"}),
    (f"UPDATE metrics SET is_nan = false WHERE {ABOUT_RUN} AND step = 2", {"run: metrics.loss"}),
    (f"UPDATE metrics SET timestamp = 7 WHERE {ABOUT_RUN} AND key = 'other'", {"run: metrics.other"}),
    (f"UPDATE latest_metrics SET value = 7 WHERE {ABOUT_RUN} AND key = 'loss'", {"run: metrics: latest"}),
    ("UPDATE datasets SET dataset_source = 'x'", {"run: datasets"}),
    ("UPDATE inputs SET step = 9 WHERE source_type = 'RUN_OUTPUT'", {"run: model_outputs"}),
    ("DELETE FROM inputs WHERE source_type = 'RUN_INPUT'", {"run: model_inputs"}),
    (f"UPDATE logged_models SET name = 'x', status = 3, status_message = 'x', model_type = 'x' WHERE {ABOUT_MODEL}",
     {"model_: name", "model_: status", "model_: status_message", "model_: model_type"}),
    (f"UPDATE logged_models SET creation_timestamp_ms = 7, last_updated_timestamp_ms = 7, source_run_id = '{SECOND}' "
     f"WHERE {ABOUT_MODEL}", {"model_: creation_time", "model_: last_updated_time", "model_: source_run_id"}),
    (f"UPDATE logged_model_tags SET tag_value = 'x' WHERE {ABOUT_MODEL}", {"model_: tags"}),
    (f"UPDATE logged_model_params SET param_value = 'x' WHERE {ABOUT_MODEL}", {"model_: params"}),
    (f"UPDATE logged_model_metrics SET dataset_name = 'x' WHERE {ABOUT_MODEL}", {"model_: metrics"}),
    ("UPDATE registered_models SET description = 'x', creation_time = 7, last_updated_time = 7",
     {"orders: description", "orders: creation_time", "orders: last_updated_time"}),
    ("UPDATE registered_model_tags SET value = 'x'", {"orders: tags"}),
    ("UPDATE registered_model_aliases SET version = 1", {"orders: aliases"}),
    (f"UPDATE model_versions SET description = 'x', user_id = 'x', run_link = 'x', run_id = '{SECOND}' "
     f"WHERE {FIRST_VERSION}", {"1: description", "1: user", "1: run_link", "1: run_id"}),
    ("UPDATE model_versions SET creation_time = 7, last_updated_time = 8, status = 'PENDING_REGISTRATION', "
     f"status_message = 'x' WHERE {FIRST_VERSION}",
     {"1: creation_time", "1: last_updated_time", "1: status", "1: status_message"}),
    ("UPDATE model_versions SET source = (SELECT source FROM model_versions WHERE name = 'orders' AND version = 1), "
     "storage_location = (SELECT source FROM model_versions WHERE name = 'orders' AND version = 1) "
     "WHERE name = 'orders' AND version = 3", {"3: source"}),
    (f"UPDATE model_version_tags SET value = 'x' WHERE {FIRST_VERSION}", {"1: tags"}),
]  # fmt: skip
REMOVALS: list[tuple[str, set[str]]] = [
    (f"DELETE FROM runs WHERE run_uuid = '{SECOND}'", {f"run {SECOND}"}),
    (f"DELETE FROM logged_models WHERE model_id = '{LAST}'", {f"logged model {LAST}"}),
    ("DELETE FROM model_versions WHERE version = 2", {"model orders, version 2"}),
    ("UPDATE runs SET experiment_id = 0 WHERE experiment_id <> 0", {f"run {RUN}: experiment_id"}),
    ("DELETE FROM experiments WHERE experiment_id <> 0", {"experiment /Shared/orders"}),
]
EXTRAS: list[tuple[str, set[str]]] = [
    ("UPDATE trace_info SET status = 'ERROR', timestamp_ms = 7, request_preview = 'x'",
     {"trace: state", "trace: request_time", "trace: request_preview"}),
    ("UPDATE trace_info SET experiment_id = 0", {"trace: experiment_id"}),
    ("UPDATE trace_request_metadata SET value = 'x' WHERE key = 'mlflow.sourceRun'", {"trace: trace_metadata"}),
    ("UPDATE assessments SET rationale = 'x'", {"trace: assessments"}),
    ("UPDATE spans SET content = replace(content, 'outer', 'x')", {"trace: spans"}),
    ("UPDATE model_versions SET description = 'x', user_id = 'x' WHERE name = 'extras-greeting' AND version = 1",
     {"prompt: description", "prompt: user"}),
    ("UPDATE model_version_tags SET value = 'x' WHERE name = 'extras-greeting' AND version = 1 "
     "AND key = 'mlflow.prompt.text'", {"prompt: template"}),
    ("UPDATE evaluation_datasets SET digest = 'x', name = 'x'", {"dataset: digest", "dataset: name"}),
    ("UPDATE evaluation_dataset_records SET expectations = '{}'", {"dataset: records"}),
]  # fmt: skip
EXTRAS_REMOVED: list[tuple[str, str]] = [
    ("DELETE FROM trace_info", f"trace {TRACE}"),
    ("DELETE FROM model_versions WHERE name = 'extras-greeting' AND version = 2", "prompt greeting, version 2"),
    ("DELETE FROM evaluation_datasets", f"evaluation dataset {EVALUATION}"),
]


@pytest.fixture
def tampered(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Connection]:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "set by the comparison")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    engine = sa.create_engine(service.environ["MODEL_REGISTRY_DATABASE_URL"], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        # Rows are changed that others refer to.
        connection.execute(sa.text("SET session_replication_role = replica"))
        yield connection
    engine.dispose()


def test_each_change_is_named(service: Service, tampered: sa.Connection, tmp_path: Path) -> None:
    archive = tmp_path / "export.tar.gz"
    archive.write_bytes(packed(FILES))
    assert service.put("/v1/workspaces/dev", {"kind": "mlflow"}).status_code == 201
    sent = service.send("dev", archive)
    assert sent.status_code == 201, sent.text
    assert (sent.json()["report"]["failed"], sent.json()["report"]["incomplete"]) == ([], [])

    def wheres() -> set[str]:
        return {difference.where for difference in compare_import(archive, "dev", service.url, service.token)}

    assert wheres() == set()
    experiment_id = sent.json()["report"]["experiments"][0]["id"]
    expected = set()
    for statement, named in CHANGES:
        done = tampered.execute(sa.text(statement.format(experiment=f"experiment_id = {experiment_id}")))
        assert done.rowcount, statement
        expected |= {_where(name) for name in named}
    expected |= _tamper_with_files(service, sent.json()["report"]["versions"][0]["digest"])
    assert wheres() == expected
    for statement, named in REMOVALS:
        assert tampered.execute(sa.text(statement)).rowcount, statement
        assert named <= wheres(), statement


def test_each_change_of_traces_prompts_and_datasets_is_named(
    service: Service, tampered: sa.Connection, tmp_path: Path
) -> None:
    archive = tmp_path / "extras.tar.gz"
    archive.write_bytes(packed(extras_export()))
    assert service.put("/v1/workspaces/extras", {"kind": "mlflow"}).status_code == 201
    sent = service.send("extras", archive, model_prefix="extras-")
    assert sent.status_code == 201, sent.text

    def wheres() -> set[str]:
        found = compare_import(archive, "extras", service.url, service.token)
        return {difference.where for difference in found if not difference.where.startswith("run ")}

    assert wheres() == set()
    expected = set()
    names = {
        "trace": f"trace {TRACE}",
        "prompt": "prompt greeting, version 1",
        "dataset": f"evaluation dataset {EVALUATION}",
    }
    for statement, named in EXTRAS:
        assert tampered.execute(sa.text(statement)).rowcount, statement
        for about, _, field in (name.partition(": ") for name in named):
            expected.add(f"{names[about]}: {field}")
    assert wheres() == expected
    for statement, where in EXTRAS_REMOVED:
        assert tampered.execute(sa.text(statement)).rowcount, statement
        assert where in wheres(), statement


def _where(short: str) -> str:
    about, _, field = short.partition(": ")
    names = {"experiment": "experiment /Shared/orders", "run": f"run {RUN}", "model_": f"logged model {LOGGED}"}
    if about.isdigit():
        return f"model orders, version {about}: {field}"
    return f"{names.get(about, 'model ' + about)}: {field}"


def _tamper_with_files(service: Service, digest: str) -> set[str]:
    """One byte of a run's file, a file more beside a logged model without any, a file less of a version."""
    objects = S3Objects(Settings.from_env(service.environ).s3)
    objects.put(f"mlflow/workspaces/dev/{RUN}/artifacts/note.txt", io.BytesIO(b"nope"), 4)
    objects.put(f"mlflow/workspaces/dev/models/{LAST}/artifacts/more.txt", io.BytesIO(b"more"), 4)
    objects.delete([version_prefix(digest) + "MLmodel"])
    return {f"run {RUN}: artifacts", f"logged model {LAST}: artifacts"} | {
        f"model orders, version {number}: artifacts"
        for number in (1, 3)  # which was given the other's source
    }
