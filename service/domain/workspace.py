"""A workspace: where models come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

KINDS = ("databricks", "azureml", "fabric", "mlflow")


@dataclass(frozen=True)
class Workspace:
    """`kind` is one of KINDS; `url` is where people find the workspace, empty when unknown."""

    name: str
    kind: str
    url: str
    description: str
    created_at: datetime
