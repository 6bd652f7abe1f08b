"""What requests and answers about versions, and the stages that hold them, look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from service.api.field_types import MAYBE_2_0, Storable
from service.api.payloads import In, Out, Text


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


class StoredFileOut(Out):
    path: str
    size: int
    sha256: str


class FileOut(StoredFileOut):
    url: str = Field(description="GET it without a token until it expires")


class FilesOut(Out):
    model: str
    version: int
    digest: str
    expires_in: int = Field(description="seconds the URLs are good for")
    files: list[FileOut]
    signatures: list[dict[str, Any]] = Field(description="Sigstore bundles: one of each key that signed, newest first")
