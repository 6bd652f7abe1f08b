"""The fields of each kind of document that have a place of their own; whatever else is there is kept beside them."""

from __future__ import annotations


def _fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


RUN = _fields("info params metrics tags inputs outputs traces")
RUN_INFO = _fields(
    "run_id run_uuid experiment_id run_name user_id status start_time end_time lifecycle_stage artifact_uri "
    "_start_time _end_time"
)
EXPERIMENT = _fields(
    "experiment_id name lifecycle_stage creation_time last_update_time tags _creation_time _last_update_time"
)
EXPERIMENT_FILE = _fields("experiment runs logged_models traces")
LOGGED_MODEL = _fields(
    "model_id experiment_id name source_run_id status status_message model_type creation_time creation_timestamp "
    "last_updated_timestamp tags params metrics model_uri"
)
REGISTERED_MODEL = _fields(
    "name description tags aliases versions latest_versions creation_timestamp last_updated_timestamp "
    "_creation_timestamp _last_updated_timestamp"
)
REGISTERED_MODEL_FILE = _fields("registered_model")
VERSION = _fields(
    "name version run_id source current_stage status status_message description user_id run_link model_id tags aliases "
    "creation_timestamp last_updated_timestamp _creation_timestamp _last_updated_timestamp _run_artifact_uri "
    "_experiment_name _download_uri"
)
