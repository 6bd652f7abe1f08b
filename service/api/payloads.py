"""What requests and answers look like: the source of the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.field_types import MAYBE_2_0, NEW_MODEL, NEW_SLUG, NEW_STAGE, NOT_BLANK, SCOPE, URL, Storable
from service.domain.names import SLUG_PATTERN, STAGE_PATTERN

Text = Field(default="", max_length=5000)


class In(BaseModel):
    """A request body: unknown fields are refused, since they are most likely misspelt; `"1"` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Parameters of a query: unknown ones are refused, since they are most likely misspelt."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(Out):
    """RFC 9457. Further members say where: file, field, member, header, kind, name."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str


# paths


class WorkspacePath(BaseModel):
    workspace: Storable = Field(description="name of a workspace", max_length=63)


class NewWorkspacePath(WorkspacePath):
    workspace: Storable = Field(description="name of a workspace", max_length=63, json_schema_extra=NEW_SLUG)


class EnvironmentPath(BaseModel):
    environment: Storable = Field(description="name of an environment", max_length=63)


class NewEnvironmentPath(EnvironmentPath):
    environment: Storable = Field(description="name of an environment", max_length=63, json_schema_extra=NEW_SLUG)


class ModelPath(BaseModel):
    model: Storable = Field(description="name of a registered model", max_length=256)


class NewModelPath(ModelPath):
    model: Storable = Field(description="name of a registered model", max_length=256, json_schema_extra=NEW_MODEL)


class VersionPath(ModelPath):
    version: int = Field(description="number of a version", ge=1, le=2**31 - 1)


class StagePath(EnvironmentPath, ModelPath):
    stage: Storable = Field(description="name of a stage of the environment", max_length=63)


class TokenPath(BaseModel):
    token_id: Storable = Field(description="id of a token", max_length=64)


# workspaces and environments


class WorkspaceIn(In):
    kind: Literal["databricks", "azureml", "fabric", "mlflow"]
    url: Storable = Field(default="", max_length=2000, json_schema_extra=URL)
    description: Storable = Text


class WorkspaceOut(Out):
    name: str = Field(pattern=SLUG_PATTERN)
    kind: str
    url: str
    description: str
    created_at: datetime


class WorkspacesOut(Out):
    workspaces: list[WorkspaceOut]


class EnvironmentIn(In):
    stages: list[Annotated[Storable, Field(json_schema_extra=NEW_STAGE)]] | None = Field(
        default=None,
        min_length=1,
        max_length=50,
        json_schema_extra={"uniqueItems": True},
        description=f"in order, each {STAGE_PATTERN}; default: Staging, Production, Archived",
    )
    description: Storable = Text


class FreezeOut(Out):
    reason: str
    by: str
    at: datetime
    until: datetime | None


class EnvironmentOut(Out):
    name: str = Field(pattern=SLUG_PATTERN)
    stages: list[str]
    description: str
    created_at: datetime
    freeze: FreezeOut | None = Field(description="no stage changes while there is one whose `until` is not over")


class EnvironmentsOut(Out):
    environments: list[EnvironmentOut]


# tokens


class TokenIn(In):
    name: Storable = Field(min_length=1, max_length=200, json_schema_extra=NOT_BLANK)
    scopes: list[Annotated[Storable, Field(json_schema_extra=SCOPE)]] = Field(
        min_length=1,
        max_length=100,
        description="admin, audit, browse, track, import:<workspace>, or read, promote, approve, "
        "webhook:<environment>; * is each",
    )
    expires_in_days: Annotated[int, Field(ge=1, le=3650), MAYBE_2_0] | None = None


class TokenOut(Out):
    id: str
    name: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewTokenOut(TokenOut):
    token: str = Field(description="the secret: shown this once, kept only as a hash")


class TokensOut(Out):
    tokens: list[TokenOut]


# the service


class Health(Out):
    status: str


class VersionInfo(Out):
    version: str
    mlflow: str
