"""What requests and answers look like: the source of the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from flask_openapi3.models import RawModel
from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class ImportPath(BaseModel):
    import_id: Storable = Field(description="id of an import", max_length=64)


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


# imports


class ArchiveBody(RawModel):  # type: ignore[misc]
    """The export folder as tar.gz, tar, tar.zst or zip."""

    mimetypes: ClassVar[list[str]] = [
        "application/gzip",
        "application/x-tar",
        "application/zstd",
        "application/zip",
        "application/octet-stream",
        "application/json",
    ]


class DroppedPlace(In):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["key"]}, {"required": ["prefix"]}]})
    key: Storable = Field(default="", min_length=1, max_length=1024, description="of an archive: drop/<workspace>/…")
    prefix: Storable = Field(default="", min_length=1, max_length=1024, description="of a folder: drop/<workspace>/…")

    @model_validator(mode="after")
    def _one(self) -> DroppedPlace:
        if bool(self.key) == bool(self.prefix):
            raise ValueError("give either key or prefix")
        return self


class DroppedIn(In):
    """An export that is in the workspace's drop zone of the bucket already."""

    s3: DroppedPlace


class ImportQuery(Query):
    experiment_name: Storable = Field(
        default="", max_length=256, description="central name instead of <workspace>/<name>"
    )
    model_name: Storable = Field(default="", max_length=256, description="central name of the registered model")
    model_prefix: Storable = Field(
        default="", max_length=256, description="what central names of its models begin with"
    )
    register_: Storable = Field(
        default="",
        alias="register",
        max_length=900,
        description="register this artifact path of each run; needs model_name",
    )
    environment: Storable = Field(
        default="", max_length=63, description="apply the source's stages to this environment; needs its promote scope"
    )


class ImportHeaders(BaseModel):
    prefer: str = Field(default="", alias="Prefer", description="wait=<seconds>: answer when the import is final")
    idempotency_key: Storable | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="a name for this request: sent again, it is answered with the first one's import",
    )


class ImportListQuery(Query):
    limit: int = Field(default=50, ge=1, le=500)
    before: Storable | None = Field(default=None, max_length=64, description="id of the last import of the page before")


class RunPath(BaseModel):
    run_id: Storable = Field(description="id of a run in this registry", max_length=64)


class OriginalRunPath(WorkspacePath):
    original_run_id: Storable = Field(description="id of a run in the workspace", max_length=64)


class RunOut(Out):
    """A run's ids here and there; `lineage` as the source said it."""

    run_id: str
    experiment_id: str
    workspace: str
    artifact_uri: str
    lineage: dict[str, Any]


class ImportOut(Out):
    id: str
    workspace: str
    state: Literal["received", "running", "done", "failed", "refused", "cancelled"]
    options: dict[str, str]
    archive_digest: str = Field(description="empty until the worker has hashed an archive that came by S3")
    archive_size: int
    s3: dict[str, str] | None = Field(description="key or prefix in the drop zone, if it came from there")
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    progress: dict[str, int]
    report: dict[str, Any] | None = Field(description="once done: what was found, created, updated, skipped, failed")
    problem: dict[str, Any] | None = Field(description="once refused or failed: the problem document")


class ImportsOut(Out):
    imports: list[ImportOut]


# models


class VersionIn(In):
    run_id: Storable = Field(min_length=1, max_length=64)
    artifact_path: Storable = Field(default="", max_length=900)


class OriginOut(Out):
    """Times are milliseconds since 1970 (UTC)."""

    workspace: str
    original_run_id: str
    run_id: str
    artifact_path: str
    experiment: str
    experiment_id: str
    user: str
    run_start_time: int | None
    run_end_time: int | None
    original_model: str
    original_version: str
    original_source: str
    notebook: str
    git_commit: str
    git_url: str
    tool_version: str
    mlflow_version: str
    tracking_uri: str
    import_id: str
    archive_digest: str
    source: dict[str, Any]


class LineageOut(OriginOut):
    """With what a later export of the same version may change."""

    original_stage: str
    exported_at: int | None


class WithdrawalOut(Out):
    reason: str
    by: str
    at: datetime


class RegisteredOut(Out):
    """What never changes of a version."""

    model: str
    version: int
    digest: str = Field(description="sha256:<hex> of the manifest (path, sha256, size of each file)")
    size: int = Field(description="bytes of all files")
    run_id: str
    created_by: str
    created_at: datetime
    flavors: dict[str, Any]
    signature: dict[str, Any] | None
    lineage: OriginOut


class VersionOut(RegisteredOut):
    description: str
    lineage: LineageOut
    withdrawn: WithdrawalOut | None = Field(description="the mark of a version that no stage may hold")


class ModelOut(Out):
    name: str
    workspace: str = Field(description="the workspace whose imports may add versions; empty: this registry's own")
    description: str
    tags: dict[str, str]
    aliases: dict[str, int]
    created_at: datetime
    versions: list[int]


class ModelsOut(Out):
    models: list[ModelOut]


# stages


class StageHeaders(BaseModel):
    if_none_match: str = Field(
        default="", alias="If-None-Match", description="the ETag of an answer: 304 if it still holds"
    )


class StageIn(In):
    version: Annotated[int, Field(ge=1, le=2**31 - 1), MAYBE_2_0]
    comment: Storable = Text


class StageOut(RegisteredOut):
    """The hand-out: the version a stage of an environment holds now. The same revision always has the same answer."""

    environment: str
    stage: str
    revision: int
    assigned_by: str
    assigned_at: datetime
    comment: str


class AssignmentOut(Out):
    model: str
    stage: str
    version: int
    digest: str
    revision: int
    assigned_by: str
    assigned_at: datetime
    comment: str


class AssignmentsOut(Out):
    environment: str
    stages: list[str]
    assignments: list[AssignmentOut]


class FileOut(Out):
    path: str
    size: int
    sha256: str
    url: str = Field(description="GET it without a token until it expires")


class FilesOut(Out):
    model: str
    version: int
    digest: str
    expires_in: int = Field(description="seconds the URLs are good for")
    files: list[FileOut]
    signatures: list[dict[str, Any]] = Field(description="Sigstore bundles: one of each key that signed, newest first")


class Health(Out):
    status: str


class VersionInfo(Out):
    version: str
    mlflow: str
