"""The one module that knows MLflow's tables, for the MLflow versions in SUPPORTED.

Only the columns we write or read are named. `missing_columns` is asked at migration and readiness, and a
test reads everything back through MLflow's own client, so that a changed schema fails loudly.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version

import sqlalchemy as sa

SUPPORTED = ((3, 17), (3, 18))
"""From the first, up to but without the second."""

WORKSPACE = "default"
"""MLflow's own notion of a workspace, of which this service uses the one that always is there."""


def _table(name: str, columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns.split()), schema="public")


experiments = _table(
    "experiments",
    "experiment_id name workspace artifact_location lifecycle_stage creation_time last_update_time",
)
experiment_tags = _table("experiment_tags", "key value experiment_id")
runs = _table(
    "runs",
    "run_uuid name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
    "source_version lifecycle_stage artifact_uri experiment_id",
)
tags = _table("tags", "key value run_uuid")
params = _table("params", "key value run_uuid")
metrics = _table("metrics", "key value timestamp step is_nan run_uuid")
latest_metrics = _table("latest_metrics", "key value timestamp step is_nan run_uuid")
datasets = _table(
    "datasets",
    "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema dataset_profile",
)
inputs = _table("inputs", "input_uuid source_type source_id destination_type destination_id step")
input_tags = _table("input_tags", "input_uuid name value")
logged_models = _table(
    "logged_models",
    "model_id experiment_id name artifact_location creation_timestamp_ms last_updated_timestamp_ms status "
    "lifecycle_stage model_type source_run_id status_message",
)
logged_model_params = _table("logged_model_params", "model_id experiment_id param_key param_value")
logged_model_tags = _table("logged_model_tags", "model_id experiment_id tag_key tag_value")
logged_model_metrics = _table(
    "logged_model_metrics",
    "model_id metric_name metric_timestamp_ms metric_step metric_value experiment_id run_id dataset_uuid "
    "dataset_name dataset_digest",
)
trace_info = _table(
    "trace_info",
    "request_id experiment_id timestamp_ms execution_time_ms status client_request_id request_preview response_preview "
    "trace_name session_id input_tokens output_tokens total_tokens cache_read_input_tokens "
    "cache_creation_input_tokens cache_creation_input_tokens_above_1hr input_cost output_cost total_cost",
)
trace_tags = _table("trace_tags", "key value request_id")
trace_request_metadata = _table("trace_request_metadata", "key value request_id")
assessments = _table(
    "assessments",
    "assessment_id trace_id name assessment_type value error created_timestamp last_updated_timestamp experiment_id "
    "trace_timestamp_ms aggregate_value is_numeric_value source_type source_id run_id span_id rationale overrides "
    "valid assessment_metadata",
)
spans = _table(
    "spans",
    "trace_id experiment_id span_id parent_span_id name type status start_time_unix_nano end_time_unix_nano content "
    "input_cost output_cost total_cost model_name model_provider",
)
entity_associations = _table(
    "entity_associations", "association_id source_type source_id destination_type destination_id created_time"
)
evaluation_datasets = _table(
    "evaluation_datasets",
    "dataset_id workspace name schema profile digest created_time last_update_time created_by last_updated_by",
)
evaluation_dataset_tags = _table("evaluation_dataset_tags", "dataset_id key value")
evaluation_dataset_records = _table(
    "evaluation_dataset_records",
    "dataset_record_id dataset_id inputs outputs expectations tags source source_id source_type created_time "
    "last_update_time created_by last_updated_by input_hash",
)
registered_models = _table("registered_models", "workspace name creation_time last_updated_time description")
registered_model_tags = _table("registered_model_tags", "workspace name key value")
registered_model_aliases = _table("registered_model_aliases", "workspace name alias version")
model_versions = _table(
    "model_versions",
    "workspace name version creation_time last_updated_time description user_id current_stage source "
    "storage_location run_id run_link status status_message",
)
model_version_tags = _table("model_version_tags", "workspace name version key value")

ALL = (
    experiments,
    experiment_tags,
    runs,
    tags,
    params,
    metrics,
    latest_metrics,
    datasets,
    inputs,
    input_tags,
    logged_models,
    logged_model_params,
    logged_model_tags,
    logged_model_metrics,
    trace_info,
    trace_tags,
    trace_request_metadata,
    assessments,
    spans,
    entity_associations,
    evaluation_datasets,
    evaluation_dataset_tags,
    evaluation_dataset_records,
    registered_models,
    registered_model_tags,
    registered_model_aliases,
    model_versions,
    model_version_tags,
)


def missing_columns(connection: sa.Connection) -> list[str]:
    """`table.column` of every column named here that the database does not have."""
    rows = connection.execute(
        sa.text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
    )
    present = {(row.table_name, row.column_name) for row in rows}
    return [
        f"{table.name}.{column.name}"
        for table in ALL
        for column in table.columns
        if (table.name, column.name) not in present
    ]


def unsupported_version() -> str | None:
    """The installed MLflow's version when it is outside SUPPORTED, else None."""
    text = installed_version("mlflow")
    match = re.match(r"(\d+)\.(\d+)", text)
    found = (int(match[1]), int(match[2])) if match else (0, 0)
    return None if SUPPORTED[0] <= found < SUPPORTED[1] else text
