"""The hosted surface for tests: each row with the fields that its requests have, told by MLflow's own descriptors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.hosting.table import OUTLIVED, Permission, rows

PARAMETER = re.compile(r"<(?:path:)?(\w+)>")
BY_HAND: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/get-artifact"): ("run_id", "run_uuid", "path"),
    ("GET", "/model-versions/get-artifact"): ("name", "version", "path"),
    ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk"): ("run_id", "metric_key", "max_results"),
    ("GET", "/ajax-api/2.0/mlflow/get-trace-artifact"): ("request_id", "path"),
    ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact"): ("request_id", "path"),
    ("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets"): ("experiment_ids",),
    ("GET", "/ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files"): ("artifact_file_path",),
    ("POST", "/graphql"): ("query", "variables", "operationName"),
}
"""Fields of routes that have no message of protobuf."""


@dataclass(frozen=True)
class Row:
    permission: Permission
    method: str
    path: str
    fields: tuple[str, ...]
    repeated: frozenset[str]

    @property
    def by_query(self) -> bool:
        return self.method == "GET"


def surface() -> list[Row]:
    """All rows that MLflow answers."""
    messages = _messages()
    found = []
    for permission, method, path in rows():
        if "/mlflow-artifacts/" in path or path == "/version":
            continue
        message = messages.get((method, PARAMETER.sub("<>", OUTLIVED.get(path, path))))
        fields = [field.name for field in message.fields] if message else BY_HAND.get((method, path), ())
        repeated = [field.name for field in message.fields if field.is_repeated] if message else ["experiment_ids"]
        found.append(Row(permission, method, path, tuple(fields), frozenset(repeated)))
    return found


def _messages() -> dict[tuple[str, str], Any]:
    """The descriptor of the request of each (method, path)."""
    from mlflow.protos import databricks_pb2
    from mlflow.protos.model_registry_pb2 import ModelRegistryService
    from mlflow.protos.service_pb2 import MlflowService
    from mlflow.server.handlers import _get_paths

    return {
        (endpoint.method, PARAMETER.sub("<>", path)): method.input_type
        for service in (MlflowService, ModelRegistryService)
        for method in service.DESCRIPTOR.methods
        for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints
        for path in _get_paths(endpoint.path, version=endpoint.since.major)
    }
