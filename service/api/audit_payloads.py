"""What questions to the audit trail and its answers look like."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from service.api.field_types import Moment, Storable
from service.api.payloads import Out, Query
from service.domain.audit import AuditQuery

LINES = ("application/jsonl", "application/x-ndjson")
"""Media types of an export."""


class AuditIn(Query):
    actor: Storable = Field(default="", max_length=200, description="id or name of a token")
    action: Storable = Field(default="", max_length=100, description="what the action begins with, like stage.")
    workspace: Storable = Field(default="", max_length=63, description="name of a workspace")
    environment: Storable = Field(default="", max_length=63, description="name of an environment")
    model: Storable = Field(default="", max_length=256, description="name of a registered model")
    since: Moment | None = Field(default=None, alias="from", description="from this time on, RFC 3339")
    until: Moment | None = Field(default=None, alias="to", description="before this time, RFC 3339")
    limit: int = Field(default=100, ge=1, le=1000, description="rows of a page; an export has all of them")
    before: int | None = Field(default=None, ge=1, le=2**63 - 1, description="`next` of the page before")
    format: Literal["json", "jsonl"] | None = Field(default=None, description="instead of the Accept header")

    def wanted(self) -> AuditQuery:
        return AuditQuery(
            actor=self.actor,
            action=self.action,
            workspace=self.workspace,
            environment=self.environment,
            model=self.model,
            since=self.since,
            until=self.until,
        )


class AuditRowOut(Out):
    seq: int = Field(description="counts from 1 without gaps, in the order of the commits")
    at: datetime
    action: str
    actor_id: str = Field(description="id of the token; empty for the command line")
    actor: str
    workspace: str
    environment: str
    model: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str = Field(description="X-Request-Id of the request")
    previous: str = Field(description="hash of the row before")
    hash: str = Field(description="SHA-256 of the canonical JSON of the row without this field")


class AuditHeadOut(Out):
    seq: int
    hash: str


class AuditOut(Out):
    model_config = ConfigDict(
        openapi_extra={"content": {kind: {"schema": {"type": "string"}} for kind in LINES}},  # type: ignore[typeddict-unknown-key]  # read by flask-openapi3
    )
    rows: list[AuditRowOut] = Field(description="newest first")
    next: int | None = Field(description="send as `before` for the next page; null on the last")
    head: AuditHeadOut = Field(description="the last row of the whole trail; note it, and a truncation shows")
