"""What requests for bytes of versions, and the answers in JSON, look like."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.api import model_payloads as mp
from service.api import payloads as p
from service.api.field_types import Storable

PATH = Field(description="path of a file of the version", max_length=1024)


class StageFilePath(p.StagePath):
    file: Storable = PATH


class VersionFilePath(p.VersionPath):
    file: Storable = PATH


class DigestPath(BaseModel):
    digest: str = Field(
        description="digest of a version, with or without `sha256:`", pattern="^(sha256:)?[0-9a-f]{64}$"
    )

    @property
    def full(self) -> str:
        return "sha256:" + self.digest.removeprefix("sha256:")


class DigestFilePath(DigestPath):
    file: Storable = PATH


class FileQuery(p.Query):
    stream: bool = Field(default=False, description="answer with the bytes instead of the URL where they are")


class RangeHeaders(mp.StageHeaders):
    range: str = Field(default="", alias="Range", description="one range of bytes")
    if_range: str = Field(default="", alias="If-Range", description="the ETag of which that is a range")


class ManifestOut(p.Out):
    """`digest` is the SHA-256 of `{"files":[{"path":…,"sha256":…,"size":…},…]}`, by path, without spaces."""

    digest: str
    size: int
    files: list[mp.StoredFileOut]


class DigestFilesOut(p.Out):
    digest: str
    expires_in: int = Field(description="seconds the URLs are good for")
    files: list[mp.FileOut]
