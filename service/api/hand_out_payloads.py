"""What requests of the hand-out look like."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from service.api import payloads as p
from service.api import promotion_payloads as pp
from service.api.field_types import Storable

WAIT = 60
MODELS = 100
Wait = Field(
    default=0,
    ge=0,
    le=WAIT,
    description="with If-None-Match: seconds to wait for a change, before a 304 tells that there was none",
)


class WatchedStageQuery(pp.StageQuery):
    wait: int = Wait


class HeldQuery(p.Query):
    model: list[Storable] = Field(default=[], max_length=MODELS, description="name of a model; all when none is named")
    wait: int = Wait


class EnvironmentStagePath(p.EnvironmentPath):
    stage: Storable = Field(description="name of a stage of the environment", max_length=63)


class EventsQuery(p.Query):
    seconds: int = Field(default=3600, ge=1, le=3600, description="after which the stream ends, to be asked for again")


class EventsHeaders(BaseModel):
    last_event_id: str = Field(
        default="", alias="Last-Event-ID", pattern="^[0-9]{0,18}$", description="the id of the last event that was seen"
    )


class StageEventOut(p.Out):
    """`version` and `digest` are null when the change left the stage empty."""

    environment: str
    model: str
    stage: str
    revision: int
    version: int | None
    digest: str | None
    kind: str
    at: datetime
