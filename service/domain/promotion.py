"""A promotion: the request to put a version into a stage, and what became of it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from service.domain.environment import Place
from service.domain.history import ChangeKind

PENDING_FOR = timedelta(days=30)
"""After that a promotion that is still pending expires."""


class PromotionState(StrEnum):
    PENDING = "pending"
    APPLIED = "applied"
    REJECTED = "rejected"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class Decision(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Approval:
    """One approver's decision on exactly these bytes, good until `expires_at`."""

    approver_id: str
    approver: str
    digest: str
    decision: Decision
    comment: str
    at: datetime
    expires_at: datetime

    def is_by(self, token_id: str, name: str) -> bool:
        """Whether the same person decided: by the same token, or by another one of the same name."""
        return (token_id != "" and self.approver_id == token_id) or self.approver == name


@dataclass(frozen=True)
class Promotion:
    """`id` is empty when nothing was recorded: what was asked for is there already, or it was a dry run.

    `stands_on` is the revision of the stage that it was asked for at; `revision` the one it became; `restores`
    the one that a rollback goes back to. `needed` counts the approvals that it takes. `problem` says why it was
    refused or superseded: a slug, a detail, and what the error adds to them.
    """

    id: str
    environment: str
    model: str
    stage: str
    version: int
    digest: str
    kind: ChangeKind
    state: PromotionState
    comment: str
    requested_by: str
    requested_by_id: str
    requested_at: datetime
    stands_on: int
    needed: int
    expires_at: datetime | None = None
    restores: int | None = None
    over_freeze: bool = False
    decided_at: datetime | None = None
    revision: int | None = None
    problem: Mapping[str, Any] | None = None
    approvals: tuple[Approval, ...] = ()

    @property
    def place(self) -> Place:
        return Place(self.environment, self.model, self.stage)

    def seen(self, now: datetime) -> Promotion:
        """As it is to be told now: expired once its time is over, though nothing has written that down yet."""
        if self.state is PromotionState.PENDING and self.expires_at is not None and self.expires_at <= now:
            return replace(self, state=PromotionState.EXPIRED, decided_at=self.expires_at)
        return self

    def counted(self, now: datetime, usable: Container[str]) -> tuple[Approval, ...]:
        """The approvals that count now; `usable` are the ids of tokens neither expired nor revoked."""
        return tuple(
            approval
            for approval in self.approvals
            if approval.decision is Decision.APPROVED
            and approval.digest == self.digest
            and now < approval.expires_at
            and approval.approver_id in usable
        )
