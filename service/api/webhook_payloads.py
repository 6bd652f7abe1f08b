"""What requests and answers about webhooks look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.api.field_types import MAYBE_2_0, WEBHOOK_SECRET, WEBHOOK_URL, Storable
from service.api.payloads import In, Out, Query, Text
from service.domain.endpoint import MAX_URL
from service.domain.event import EVENT_TYPES
from service.domain.names import MODEL_NAME_LENGTH
from service.usecases.manage_webhooks import MAX_OVERLAP_HOURS

EventType = Annotated[Storable, Field(json_schema_extra={"enum": list(EVENT_TYPES)})]
Secret = Field(
    default=None,
    max_length=100,
    json_schema_extra=WEBHOOK_SECRET,
    description="whsec_ and the Base64 of 24 to 64 bytes; made up when left out",
)


class WebhookPath(BaseModel):
    webhook_id: Storable = Field(description="id of a webhook", max_length=64)


class DeliveryPath(WebhookPath):
    delivery_id: Storable = Field(description="id of a delivery", max_length=64)


class WebhookChangeIn(In):
    url: Storable = Field(min_length=1, max_length=MAX_URL, json_schema_extra=WEBHOOK_URL)
    events: list[EventType] = Field(default=[], max_length=100, description="which it gets; all of them when empty")
    model: Storable = Field(default="", max_length=MODEL_NAME_LENGTH, description="events of this model only")
    enabled: bool = True
    description: Storable = Text


class WebhookIn(WebhookChangeIn):
    environment: Storable = Field(
        default="", max_length=63, description="events of this environment only; without one, an admin gets all events"
    )
    secret: Storable | None = Secret


class SecretIn(In):
    secret: Storable | None = Secret
    overlap_hours: Annotated[int, Field(ge=0, le=MAX_OVERLAP_HOURS), MAYBE_2_0] = Field(
        default=24, description="how long the secret before it signs as well"
    )


class WebhookOut(Out):
    id: str
    url: str
    environment: str
    events: list[str]
    model: str
    description: str
    enabled: bool
    disabled_reason: str = Field(description="why the registry itself disabled it")
    failing_since: datetime | None = Field(description="the first failure after the last success")
    previous_until: datetime | None = Field(description="until when the secret before this one signs as well")
    created_by: str
    created_at: datetime


class NewWebhookOut(WebhookOut):
    secret: str = Field(description="what signatures are made with: shown this once")


class WebhooksOut(Out):
    webhooks: list[WebhookOut]


class AttemptOut(Out):
    number: int
    at: datetime
    latency_ms: int
    status: int | None = Field(description="the HTTP status; null when there was no answer")
    error: str = Field(description="why there was no answer")
    answer: str = Field(description="the first 1024 bytes of the answer")


class DeliveryOut(Out):
    id: str
    webhook_id: str
    event_id: str = Field(description="the webhook-id header, the same each time")
    event_type: str
    state: Literal["pending", "delivered", "failed"]
    created_at: datetime
    next_at: datetime | None = Field(description="when it is tried next")
    finished_at: datetime | None
    attempts: list[AttemptOut]


class DeliveriesOut(Out):
    deliveries: list[DeliveryOut]


class DeliveryListQuery(Query):
    limit: int = Field(default=50, ge=1, le=500)
    before: Storable | None = Field(
        default=None, max_length=64, description="id of the last delivery of the page before"
    )
