"""What promotions, their approvals, and the history of stages look like in requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from service.api.field_types import MAYBE_2_0, NOT_BLANK, Storable
from service.api.model_payloads import VersionOut
from service.api.payloads import EnvironmentPath, In, ModelPath, Out, Query, Text

Kind = Literal["promotion", "rollback", "withdrawal", "import", "emptied"]
State = Literal["pending", "applied", "rejected", "refused", "cancelled", "expired", "superseded"]
Digest = Annotated[Storable, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Revision = Annotated[int, Field(ge=0, le=2**63 - 1), MAYBE_2_0]
Reason = Field(min_length=1, max_length=5000, json_schema_extra=NOT_BLANK)
EXPECTED = Field(default=None, description="the stage's revision as you know it, 0: it is empty; else 409")
OVER_FREEZE = Field(default=False, description="go over a freeze; an admin's alone")


# promotions


class PromotionsPath(EnvironmentPath, ModelPath):
    pass


class PromotionPath(BaseModel):
    promotion_id: Storable = Field(description="id of a promotion", max_length=64)


class MatchHeaders(BaseModel):
    if_match: Storable | None = Field(
        default=None, alias="If-Match", max_length=2000, description="the ETag of the stage as you know it; else 412"
    )


class KeyHeaders(BaseModel):
    idempotency_key: Storable | None = Field(
        default=None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="a name for this request: sent again within 24 h, it is answered with the first one's answer",
    )


class ChangeHeaders(KeyHeaders, MatchHeaders):
    pass


class DryRunQuery(Query):
    dry_run: bool = Field(default=False, description="answer as if it were done, and change nothing")


class PromotionIn(In):
    """By version, by digest, or by both, which must agree."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["version"]}, {"required": ["digest"]}]})
    stage: Storable = Field(max_length=63)
    version: Annotated[int, Field(ge=1, le=2**31 - 1), MAYBE_2_0] | None = None
    digest: Digest | None = None
    comment: Storable = Text
    expected: Revision | None = EXPECTED
    override_freeze: bool = OVER_FREEZE

    @model_validator(mode="after")
    def _one_of_them(self) -> PromotionIn:
        if self.version is None and self.digest is None:
            raise ValueError("version or digest is needed")
        return self


class RollbackIn(In):
    to_revision: Annotated[int, Field(ge=1, le=2**63 - 1), MAYBE_2_0] | None = Field(
        default=None, description="a revision of the stage's history; default: what was live before"
    )
    comment: Storable = Text
    expected: Revision | None = EXPECTED
    override_freeze: bool = OVER_FREEZE


class DecisionIn(In):
    comment: Storable = Text


class ApprovalIn(DecisionIn):
    digest: Digest | None = Field(default=None, description="the bytes you have looked at; 409 when they are others")


class ApprovalOut(Out):
    approver: str
    decision: Literal["approved", "rejected"]
    digest: str
    comment: str
    at: datetime
    expires_at: datetime


class PromotionOut(Out):
    """`id` is null when nothing was recorded: the version is there already, or it was a dry run."""

    id: str | None
    kind: Kind
    state: State
    environment: str
    model: str
    stage: str
    version: int
    digest: str
    comment: str
    requested_by: str
    requested_at: datetime
    stands_on: int = Field(description="the stage's revision that it was asked for at")
    revision: int | None = Field(description="the stage's revision that it became")
    restores: int | None = Field(description="the revision that a rollback goes back to")
    over_freeze: bool
    needed_approvals: int
    approvals: list[ApprovalOut]
    expires_at: datetime | None
    decided_at: datetime | None
    problem: dict[str, Any] | None = Field(description="why it was refused or superseded: slug, detail, rules, …")
    dry_run: bool = False


class PromotionsQuery(Query):
    state: State | None = Field(default=None, description="only those in this state")
    limit: int = Field(default=50, ge=1, le=500)
    before: Storable | None = Field(
        default=None, max_length=64, description="id of the last promotion of the page before"
    )


class PromotionsOut(Out):
    promotions: list[PromotionOut]


# history


class StageQuery(Query):
    at: AwareDatetime | None = Field(
        default=None, description="what the stage held at that time, such as 2026-03-01T12:00:00Z"
    )


class EmptyQuery(Query):
    comment: Storable = Field(default="", max_length=5000, description="why")


class ChangeOut(Out):
    """`version` is null when the change left the stage empty."""

    environment: str
    model: str
    stage: str
    revision: int
    version: int | None
    digest: str | None
    previous_version: int | None
    previous_digest: str | None
    kind: Kind
    promotion_id: str | None
    restores: int | None = Field(description="the earlier revision that a rollback or withdrawal went back to")
    over_freeze: bool
    actor: str
    comment: str
    at: datetime


class HistoryQuery(Query):
    limit: int = Field(default=50, ge=1, le=500)
    before: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="revision of the last change of the page before"
    )


class HistoryOut(Out):
    environment: str
    model: str
    stage: str
    changes: list[ChangeOut]


class StayOut(Out):
    """A time during which the version was current; `until` and `ended_by` are null while it is."""

    environment: str
    stage: str
    revision: int
    since: datetime
    until: datetime | None
    by: str
    kind: Kind
    ended_by: Kind | None


class WhereOut(Out):
    model: str
    version: int
    stays: list[StayOut]


# withdrawals and freezes


class WithdrawIn(In):
    reason: Storable = Reason
    then: Literal["fallback", "empty"] = Field(
        description="what its stages do: fall back to what was live before, or be empty"
    )


class ReinstateIn(In):
    reason: Storable = Reason


class WithdrawnOut(Out):
    version: VersionOut
    changes: list[ChangeOut]
    refused_promotions: list[str] = Field(description="ids of the promotions of it that were pending")


class FreezeIn(In):
    reason: Storable = Reason
    until: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None, description="default: until it is lifted"
    )
