"""Payloads of the routes that tell which id here is which id there."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from service.api.field_types import Storable
from service.api.payloads import Out, WorkspacePath


class OriginalExperimentPath(WorkspacePath):
    original_id: Storable = Field(description="id of an experiment in the workspace", max_length=64)


class ExperimentPath(BaseModel):
    experiment_id: Storable = Field(description="id of an experiment in this registry", max_length=64)


class OriginalLoggedModelPath(WorkspacePath):
    original_id: Storable = Field(description="id of a logged model in the workspace", max_length=64)


class LoggedModelPath(BaseModel):
    model_id: Storable = Field(description="id of a logged model in this registry", max_length=64)


class OriginalModelPath(WorkspacePath):
    original_model: Storable = Field(description="name of a registered model in the workspace", max_length=256)


class OriginalVersionPath(OriginalModelPath):
    original_version: Storable = Field(description="number of a version in the workspace", max_length=64)


class ImportedOut(Out):
    """What a thing is called there and here. `lineage` is what its export said beside: the tool, permissions (which
    are never applied), fields that this service does not know, and the first origin when an earlier import left it."""

    workspace: str
    original_id: str
    id: str
    name: str
    import_id: str
    lineage: dict[str, Any]


class OriginsOut(BaseModel):
    origins: list[ImportedOut]


class VersionOriginOut(Out):
    workspace: str
    original_model: str
    original_version: str
    model: str
    version: int
    digest: str


class VersionOriginsOut(BaseModel):
    origins: list[VersionOriginOut]
