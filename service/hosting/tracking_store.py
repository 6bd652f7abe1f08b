"""MLflow's tracking store with the one rule of ours: where artifacts are is not for clients to say."""

from __future__ import annotations

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


class TrackingStore(SqlAlchemyStore):  # type: ignore[misc]  # MLflow's base class is untyped here
    """MLflow's tables in the registry's database."""

    def create_experiment(self, name: str, artifact_location: str | None = None, tags: Any = None) -> str:
        if artifact_location:
            raise MlflowException(
                "artifact_location cannot be chosen: this registry keeps all artifacts itself.",
                error_code=INVALID_PARAMETER_VALUE,
            )
        return str(super().create_experiment(name, artifact_location, tags))
