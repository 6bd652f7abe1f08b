"""Our errors inside of MLflow's code, whose handlers tell clients of no others than MLflow's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from service.domain.errors import RegistryError
from service.hosting.mlflow_errors import code_of


@contextmanager
def translated() -> Iterator[None]:
    """Raises MlflowException in place of our own errors."""
    try:
        yield
    except RegistryError as error:
        raise MlflowException(error.detail, error_code=ErrorCode.Value(code_of(error))) from error
