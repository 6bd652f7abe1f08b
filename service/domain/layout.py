"""Where bytes live in the bucket, and by which URI MLflow's clients ask for them.

imports/<id>/archive                        an archive, sent or uploaded by parts, until its import is final
imports/<id>/listing                        what an import from a prefix was given, until it is final
drop/<workspace>/…                          the workspace's drop zone: exports that others put there to be imported
mlflow/<path>                               what MLflow clients see as `mlflow-artifacts:/<path>`
mlflow/workspaces/<w>/<run>/artifacts/…     artifacts of imported runs (and of runs logged beside them)
mlflow/workspaces/<w>/models/<m>/artifacts/…  artifacts of imported logged models
mlflow/workspaces/<w>/traces/<t>/artifacts/…  artifacts of imported traces, where MLflow puts those of new ones
models/sha256/<hex>/…                       bytes of registered versions, written by the registry alone
models/pending/<id>/…                       copies on their way there
"""

from __future__ import annotations

import re

ARCHIVES = "imports/"
PROXIED = "mlflow/"
WORKSPACES = PROXIED + "workspaces/"
VERSIONS = "models/sha256/"
PENDING = "models/pending/"
REGISTERED = "registered/"
"""`mlflow-artifacts:/registered/<hex>/…` reads `models/sha256/<hex>/…`."""


def archive_key(import_id: str) -> str:
    return f"imports/{import_id}/archive"


def listing_key(import_id: str) -> str:
    return f"imports/{import_id}/listing"


def own_keys(import_id: str) -> list[str]:
    """What is deleted once the import is final: nothing of a drop zone."""
    return [archive_key(import_id), listing_key(import_id)]


def drop_zone(workspace: str) -> str:
    """The only part of the bucket that a workspace may name in an import; nobody writes there but by S3 itself."""
    return f"drop/{workspace}/"


def experiment_location(workspace: str) -> str:
    """The artifact location of imported experiments; MLflow adds `/<run id>/artifacts` for runs logged here."""
    return f"mlflow-artifacts:/workspaces/{workspace}"


def run_path(workspace: str, run_id: str) -> str:
    return f"workspaces/{workspace}/{run_id}/artifacts"


def logged_model_path(workspace: str, model_id: str) -> str:
    return f"workspaces/{workspace}/models/{model_id}/artifacts"


def trace_path(workspace: str, trace_id: str) -> str:
    return f"workspaces/{workspace}/traces/{trace_id}/artifacts"


def artifact_uri(path: str) -> str:
    return f"mlflow-artifacts:/{path}"


def artifact_prefix(uri: str) -> str | None:
    """The bucket's prefix behind a `mlflow-artifacts:/…` URI (no slash at its end); None for any other URI."""
    scheme, separator, path = uri.partition(":/")
    if scheme != "mlflow-artifacts" or not separator:
        return None
    return PROXIED + path.strip("/")


def version_prefix(digest: str) -> str:
    """The folder of a version's bytes: `models/sha256/<hex>/`."""
    return f"models/{digest.replace(':', '/')}/"


def version_uri(digest: str) -> str:
    return f"mlflow-artifacts:/{REGISTERED}{digest.removeprefix('sha256:')}"


def pending_prefix(identifier: str) -> str:
    return f"{PENDING}{identifier}/"


_RUN_FOLDER = re.compile(re.escape(WORKSPACES) + r"[^/]+/([0-9a-f]{32})/")
_LOGGED_MODEL_FOLDER = re.compile(re.escape(WORKSPACES) + r"[^/]+/models/([^/]+)/")
_TRACE_FOLDER = re.compile(re.escape(WORKSPACES) + r"[^/]+/traces/([^/]+)/")


def run_of(folder: str) -> str | None:
    """The run whose artifacts are below the folder; None when it is no run's."""
    match = _RUN_FOLDER.fullmatch(folder)
    return match[1] if match else None


def logged_model_of(folder: str) -> str | None:
    match = _LOGGED_MODEL_FOLDER.fullmatch(folder)
    return match[1] if match else None


def trace_of(folder: str) -> str | None:
    match = _TRACE_FOLDER.fullmatch(folder)
    return match[1] if match else None


_COLLECTED = re.compile(
    rf"(?:{re.escape(ARCHIVES)}|{re.escape(PENDING)}|{re.escape(VERSIONS)})[^/]+/"
    rf"|{re.escape(WORKSPACES)}[^/]+/(?:(?:models|traces)/[^/]+|[0-9a-f]{{32}})/"
)


def collected_folder(key: str) -> str | None:
    """The folder with which an object is kept or goes; None for what is never collected."""
    match = _COLLECTED.match(key)
    return match[0] if match else None


def folder_of(uri: str) -> str | None:
    """The folder that holds the `artifacts` of a run's or logged model's artifact URI."""
    prefix = artifact_prefix(uri)
    return None if prefix is None else prefix.removesuffix("artifacts")


def digest_of(folder: str) -> str:
    """Of a version's folder."""
    return "sha256:" + folder.removeprefix(VERSIONS).rstrip("/")


def import_of(folder: str) -> str:
    return folder.removeprefix(ARCHIVES).rstrip("/")
