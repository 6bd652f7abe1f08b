"""What requests and answers about imports and runs look like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from flask_openapi3.models import RawModel
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.api.field_types import Storable
from service.api.payloads import In, Out, Query, WorkspacePath


class ImportPath(BaseModel):
    import_id: Storable = Field(description="id of an import", max_length=64)


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
