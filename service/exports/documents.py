"""The export tool's JSON files, of every tool version, as records.

The dialects differ in what is absent and in which of two shapes a field has; each reader takes both, so that
no flag is needed. Source: the files that the tool's versions 1.2.0, 2024-07 and 2026-01 wrote.
"""

from __future__ import annotations

import re
from typing import Any

from service.domain.errors import TooLarge
from service.exports import known_fields as known
from service.exports.fields import Fields
from service.exports.metrics import MAX_METRICS, read_history
from service.exports.records import (
    DatasetRecord,
    ExperimentRecord,
    LoggedModelMetric,
    LoggedModelRecord,
    MetricHistory,
    RegisteredModelRecord,
    RunRecord,
    ToolRecord,
    VersionRecord,
)

RUN_ID = re.compile(r"[0-9a-zA-Z_-]{1,32}")
MODEL_ID = re.compile(r"m-[0-9a-zA-Z_-]{1,34}")
EXPERIMENT_ID = 64
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
STATUSES_OF_VERSIONS = ("READY", "PENDING_REGISTRATION", "FAILED_REGISTRATION")


def read_tool(document: dict[str, Any], file: str) -> ToolRecord:
    system = Fields(document, file).optional("system")
    return ToolRecord(
        package_version=system.text("package_version"),
        mlflow_version=system.text("mlflow_version"),
        tracking_uri=system.text("mlflow_tracking_uri"),
        user=system.text("user"),
        exported_at=None if system.integer("export_time") is None else (system.integer("export_time") or 0) * 1000,
    )


def read_experiment(document: dict[str, Any], file: str, folder: str) -> ExperimentRecord:
    """Raises ExportRefused naming the field."""
    whole = Fields(document, file)
    mlflow = whole.object("mlflow")
    experiment = mlflow.object("experiment")
    return ExperimentRecord(
        experiment_id=experiment.required("experiment_id", EXPERIMENT_ID),
        name=experiment.required("name", 256),
        lifecycle_stage=_lifecycle(experiment),
        creation_time=experiment.integer("creation_time"),
        last_update_time=experiment.integer("last_update_time"),
        tags=experiment.mapping("tags", 250),
        run_ids=tuple(mlflow.texts("runs")),
        failed_runs=tuple(whole.optional("info").names("failed_runs")),
        total_runs=whole.optional("info").integer("num_total_runs"),
        unknown={**experiment.rest(known.EXPERIMENT), **mlflow.rest(known.EXPERIMENT_FILE)},
        folder=folder,
        tool=read_tool(document, file),
        trace_ids=tuple(mlflow.texts("traces")),
    )


def read_run(document: dict[str, Any], file: str, folder: str) -> RunRecord:
    """Raises ExportRefused naming the field."""
    run = Fields(document, file).object("mlflow")
    info = run.object("info")
    run_id = info.text("run_id") or info.text("run_uuid")
    if not RUN_ID.fullmatch(run_id):
        raise info.refuse("run_id", "1 to 32 letters, digits, '-' or '_'")
    status = info.text("status", "FINISHED")
    if status not in STATUSES:
        raise info.refuse("status", "one of " + ", ".join(STATUSES))
    tags = run.mapping("tags", 250, 8000)
    return RunRecord(
        run_id=run_id,
        experiment_id=info.text("experiment_id", limit=EXPERIMENT_ID),
        name=info.text("run_name", limit=250) or tags.get("mlflow.runName", ""),
        user=info.text("user_id", limit=256) or tags.get("mlflow.user", ""),
        status=status,
        start_time=info.integer("start_time"),
        end_time=info.integer("end_time"),
        lifecycle_stage=_lifecycle(info),
        artifact_uri=info.text("artifact_uri"),
        params=run.mapping("params", 250, 8000),
        tags=tags,
        metrics=_metrics(run.optional("metrics")),
        datasets=_datasets(run),
        model_inputs=tuple(_model_id(row) for row in _inputs(run, "model_inputs")),
        model_outputs=tuple(
            (_model_id(row), row.integer("step") or 0) for row in run.optional("outputs").objects("model_outputs")
        ),
        traces=tuple(run.texts("traces")),
        unknown={**run.rest(known.RUN), **_under("info", info.rest(known.RUN_INFO))},
        folder=folder,
        tool=read_tool(document, file),
    )


def _under(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields} if fields else {}


def _metrics(metrics: Fields) -> tuple[MetricHistory, ...]:
    if len(metrics.data) > MAX_METRICS:
        raise TooLarge(f"{metrics.file} has more than {MAX_METRICS} metrics.", file=metrics.file)
    return tuple(
        # What is too long to be held as JSON was read into columns already.
        points if isinstance(points, MetricHistory) else read_history(metrics, key, points)
        for key, points in metrics.data.items()
    )


def _inputs(run: Fields, kind: str) -> list[Fields]:
    """Dialect C has an object of lists under `inputs`, dialect B the list of dataset inputs alone."""
    if isinstance(run.data.get("inputs"), list):
        return run.objects("inputs") if kind == "dataset_inputs" else []
    return run.optional("inputs").objects(kind)


def _datasets(run: Fields) -> tuple[DatasetRecord, ...]:
    found = []
    for row in _inputs(run, "dataset_inputs"):
        dataset = row.object("dataset")
        found.append(
            DatasetRecord(
                name=dataset.required("name", 500),
                digest=dataset.required("digest", 36),
                source_type=dataset.text("source_type", limit=36),
                source=dataset.text("source"),
                schema=dataset.maybe("schema"),
                profile=dataset.maybe("profile"),
                tags=row.mapping("tags", 255, 500),
            )
        )
    return tuple(found)


def read_logged_model(document: dict[str, Any], file: str, folder: str) -> LoggedModelRecord:
    """Raises ExportRefused naming the field."""
    model = Fields(document, file).object("mlflow")
    return LoggedModelRecord(
        model_id=_model_id(model),
        experiment_id=model.text("experiment_id", limit=EXPERIMENT_ID),
        name=model.text("name", "model", limit=500),
        source_run_id=model.text("source_run_id", limit=32),
        status=model.text("status", "READY"),
        status_message=model.text("status_message", limit=1000),
        model_type=model.text("model_type", limit=500),
        creation_time=model.integer("creation_time") or model.integer("creation_timestamp"),
        last_updated_time=model.integer("last_updated_timestamp"),
        tags=model.mapping("tags", 255),
        params=model.mapping("params", 255),
        metrics=tuple(
            LoggedModelMetric(
                key=row.required("key", 500),
                value=row.number("value"),
                timestamp=row.integer("timestamp") or 0,
                step=row.integer("step") or 0,
                run_id=row.text("run_id"),
                dataset_name=row.maybe("dataset_name", 500),
                dataset_digest=row.maybe("dataset_digest", 36),
            )
            for row in model.objects("metrics")
        ),
        unknown=model.rest(known.LOGGED_MODEL),
        folder=folder,
        tool=read_tool(document, file),
    )


def _model_id(row: Fields) -> str:
    model_id = row.required("model_id")
    if not MODEL_ID.fullmatch(model_id):
        raise row.refuse("model_id", "'m-' and 1 to 34 letters, digits, '-' or '_'")
    return model_id


def read_registered_model(document: dict[str, Any], file: str, folder: str) -> RegisteredModelRecord:
    """Raises ExportRefused naming the field."""
    whole = Fields(document, file)
    model = whole.object("mlflow").object("registered_model")
    # The tool sorts versions as texts (1, 10, 2): number them before anything else looks at their order.
    versions = sorted((_version(row) for row in model.objects("versions")), key=lambda version: version.version)
    return RegisteredModelRecord(
        name=model.required("name", 256),
        description=model.text("description", limit=5000),
        tags=model.mapping("tags", 250, 5000),
        aliases={row.required("alias", 256): row.integer("version") or 0 for row in model.objects("aliases")},
        creation_time=model.integer("creation_timestamp"),
        last_updated_time=model.integer("last_updated_timestamp"),
        versions=tuple(versions),
        failed_versions=tuple(whole.optional("info").names("failed_versions")),
        unknown={**model.rest(known.REGISTERED_MODEL), **whole.object("mlflow").rest(known.REGISTERED_MODEL_FILE)},
        folder=folder,
        tool=read_tool(document, file),
    )


def read_model_version(document: dict[str, Any], file: str, folder: str) -> RegisteredModelRecord:
    """A version.json, which `export-model-version` writes beside a model.json without versions.

    Raises ExportRefused naming the field.
    """
    row = Fields(document, file).object("mlflow").object("model_version")
    version = _version(row)
    return RegisteredModelRecord(
        name=row.required("name", 256),
        description="",
        tags={},
        aliases=dict.fromkeys(row.texts("aliases"), version.version),
        creation_time=None,
        last_updated_time=None,
        versions=(version,),
        failed_versions=(),
        unknown={},
        folder=folder,
        tool=read_tool(document, file),
    )


def _version(row: Fields) -> VersionRecord:
    number = row.integer("version")
    if number is None or not 0 < number < 2**31:
        raise row.refuse("version", "a version number")
    status = row.text("status", "READY")
    if status not in STATUSES_OF_VERSIONS:
        raise row.refuse("status", "one of " + ", ".join(STATUSES_OF_VERSIONS))
    return VersionRecord(
        version=number,
        run_id=row.text("run_id"),
        source=row.text("source"),
        stage=row.text("current_stage", "None"),
        status=status,
        status_message=row.text("status_message", limit=500),
        description=row.text("description", limit=5000),
        user=row.text("user_id", limit=256),
        run_link=row.text("run_link", limit=500),
        model_id=row.text("model_id"),
        tags=row.mapping("tags"),
        creation_time=row.integer("creation_timestamp"),
        last_updated_time=row.integer("last_updated_timestamp"),
        run_artifact_uri=row.text("_run_artifact_uri"),
        experiment_name=row.text("_experiment_name"),
        download_uri=row.text("_download_uri"),
        unknown=row.rest(known.VERSION),
    )


def _lifecycle(fields: Fields) -> str:
    stage = fields.text("lifecycle_stage", "active")
    if stage not in ("active", "deleted"):
        raise fields.refuse("lifecycle_stage", "active or deleted")
    return stage
