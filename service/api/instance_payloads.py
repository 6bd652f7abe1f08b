"""What instances look like in requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.api.field_types import MAYBE_2_0, Storable, told
from service.api.payloads import In, Out, Query, StagePath
from service.api.promotion_payloads import Digest
from service.domain.instance import ID_PATTERN

LEASE = 300
LONGEST_LEASE = 24 * 3600
DriftName = Literal["in-step", "behind", "unknown", "expired"]


class InstancePath(StagePath):
    instance: Storable = Field(description="the instance's own name", max_length=128)


class NewInstancePath(StagePath):
    instance: Storable = Field(
        description="the instance's own name, such as its pod's", max_length=128, json_schema_extra=told(ID_PATTERN)
    )


class InstanceIn(In):
    digest: Digest = Field(description="of the version that it runs")
    lease_seconds: Annotated[int, Field(ge=10, le=LONGEST_LEASE), MAYBE_2_0] = Field(
        default=LEASE, description="how long this may be believed unless it is said again"
    )


class InstancesQuery(Query):
    limit: int = Field(default=100, ge=1, le=1000)
    after: Storable = Field(default="", max_length=128, description="id of the last instance of the page before")


class InstanceOut(Out):
    """`version` is the model's highest one with this digest, null when it has none."""

    id: str
    digest: str
    version: int | None
    drift: DriftName
    since: datetime
    reported_at: datetime
    lease_end: datetime
    reported_by: str


class DesiredOut(Out):
    """What the stage hands out; all null when it is empty."""

    version: int | None
    digest: str | None
    revision: int | None


class ReportedOut(InstanceOut):
    desired: DesiredOut


class CountsOut(Out):
    in_step: int
    behind: int
    unknown: int
    expired: int


class InstancesOut(Out):
    """`counts` are of all instances, not only of the page."""

    environment: str
    model: str
    stage: str
    desired: DesiredOut
    counts: CountsOut
    instances: list[InstanceOut]
