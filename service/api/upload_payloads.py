"""What requests and answers of uploads look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.api.field_types import MAYBE_2_0, Storable
from service.api.import_payloads import ImportQuery
from service.api.payloads import In, Out, Query, WorkspacePath

SHA256 = r"^[0-9a-f]{64}$"
RANGES = r"^[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*$"


class UploadPath(WorkspacePath):
    upload_id: Storable = Field(description="id of an upload", max_length=64)


class UploadIn(In):
    size: Annotated[int, Field(ge=1, le=2**50), MAYBE_2_0] = Field(description="bytes of the archive")
    sha256: str = Field(
        default="",
        pattern=f"^$|{SHA256}",
        description="of the archive: the import is refused if it has another, and an open upload of the same is found",
    )


class UrlsQuery(Query):
    parts: str = Field(
        default="", max_length=5000, pattern=f"^$|{RANGES}", description="1,4-9; default: those that are not there yet"
    )


class CompleteQuery(ImportQuery):
    sha256: str = Field(
        default="", pattern=f"^$|{SHA256}", description="of the archive, if it was not announced at the beginning"
    )


class PartOut(Out):
    """The bytes of the archive from `offset` on are the part."""

    number: int
    offset: int
    size: int
    there: bool


class PartUrlOut(Out):
    number: int
    offset: int
    size: int
    url: str = Field(description="PUT the part's bytes there, without a token, until it expires")


class UploadOut(Out):
    id: str
    workspace: str
    state: Literal["open", "completed"]
    size: int
    part_size: int
    sha256: str
    created_by: str
    created_at: datetime
    expires_at: datetime = Field(description="when an open upload is forgotten")
    parts: list[PartOut]


class PartUrlsOut(Out):
    expires_in: int = Field(description="seconds the URLs are good for")
    parts: list[PartUrlOut]


class NewUploadOut(UploadOut):
    expires_in: int = Field(description="seconds the URLs are good for; GET …/urls gives new ones")
    urls: list[PartUrlOut] = Field(description="of the parts that are not there yet")
