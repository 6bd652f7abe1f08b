"""What a comparison looks like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.field_types import Storable
from service.api.payloads import Out, Query

Reference = Annotated[
    Storable, Field(max_length=130, description="<environment>:<stage>, such as prod:Production, or a version's number")
]


class CompareQuery(Query):
    from_: Reference = Field(alias="from")
    to: Reference
    equal: bool = Field(default=False, description="also the rows that are the same")
    format: Literal["json", "text"] | None = Field(default=None, description="instead of what Accept asks for")


class CompareHeaders(BaseModel):
    accept: str = Field(default="", alias="Accept", description="text/plain for text, else JSON")


class SideOut(Out):
    version: int
    digest: str
    size: int
    run_id: str
    created_at: datetime
    environment: str | None = Field(description="null for a version that was named by its number")
    stage: str | None
    revision: int | None


class RowOut(Out):
    model_config = ConfigDict(from_attributes=True, populate_by_name=True, serialize_by_alias=True)
    name: str
    change: Literal["added", "removed", "changed", "same"]
    before: Any = Field(serialization_alias="from", description="null where that version does not have it")
    after: Any = Field(serialization_alias="to")


class SectionOut(Out):
    rows: list[RowOut] = Field(description="what differs, by name; the first 1000")
    same: int = Field(description="how many are equal")
    left_out: int = Field(description="rows over 1000")
    notes: list[str] = Field(description="what could not be read")


class ComparisonOut(Out):
    model_config = ConfigDict(
        serialize_by_alias=True,
        openapi_extra={"content": {"text/plain": {"schema": {"type": "string"}}}},  # type: ignore[typeddict-unknown-key]
    )
    model: str
    identical: bool = Field(description="the same bytes")
    before: SideOut = Field(serialization_alias="from")
    after: SideOut = Field(serialization_alias="to")
    params: SectionOut
    metrics: SectionOut = Field(description="the run's latest, and the logged model's evaluations")
    signature: SectionOut
    flavors: SectionOut
    dependencies: SectionOut = Field(description="of requirements.txt and conda.yaml")
    files: SectionOut = Field(description="each with size and sha256")
    tags: SectionOut
    lineage: SectionOut
