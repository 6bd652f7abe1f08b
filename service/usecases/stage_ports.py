"""What the use cases of stages and promotions need from the outside; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.environment import Assignment, Place
from service.domain.history import Stay, Transition
from service.domain.model import ModelVersion
from service.domain.promotion import Approval, Promotion, PromotionState


class Stages(Protocol):
    """What each place holds, and every change of it. A change is made between `lock` and the transaction's end."""

    def lock(self, places: Collection[Place]) -> None:
        """Keep others from changing these places until the transaction ends; many are locked in one order.

        Raises NotFound for an environment or a stage of it that is not there.
        """
        ...

    def lock_model(self, model: str, environments: Collection[str] = ()) -> None:
        """Keep others from changing any place of the model until the transaction ends, and these environments.

        They are those where the transaction changes a place. Raises NotFound for one that is not there.
        """
        ...

    def last(self, place: Place) -> Transition | None:
        """The last change of the place, None when there was none."""
        ...

    def change(self, transition: Transition) -> None:
        """Record the change, and make its version current; None empties the place. The place is locked."""
        ...

    def change_at(self, place: Place, revision: int) -> Transition:
        """Raises NotFound(kind="revision")."""
        ...

    def restorable(self, place: Place, below: int, other_than: int | None) -> Transition | None:
        """The newest change below the revision to a version other than that one, neither withdrawn nor deleted."""
        ...

    def current(self, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
        """Raises NotFound for the environment, stage or model, or kind="assignment" when the stage is empty."""
        ...

    def list(self, environment: str) -> Sequence[Assignment]: ...

    def holding(self, model: str, version: int) -> Sequence[Place]:
        """Every place that holds the version, in order."""
        ...

    def history(self, place: Place, limit: int, before: int | None) -> Sequence[Transition]:
        """Newest first; `before` is the revision to go on after."""
        ...

    def change_by(self, place: Place, at: datetime) -> Transition | None:
        """The last change at or before the time."""
        ...

    def stays(self, model: str, version: int) -> Sequence[Stay]:
        """Everywhere the version is or was current, by environment, stage and revision."""
        ...


class Promotions(Protocol):
    def add(self, promotion: Promotion) -> None:
        """Raises Conflict when it is pending and its place has a pending one already."""
        ...

    def get(self, promotion_id: str) -> Promotion:
        """With its approvals, oldest first. Raises NotFound(kind="promotion")."""
        ...

    def pending(self, place: Place) -> Promotion | None: ...

    def pending_of(self, model: str, version: int) -> Sequence[Promotion]: ...

    def list(
        self, environment: str, state: PromotionState | None, now: datetime, limit: int, before: str | None
    ) -> Sequence[Promotion]:
        """Newest first, as they are to be told `now`; `before` is the id to go on after."""
        ...

    def decide(self, promotion: Promotion) -> None:
        """Write what became of one that is pending, and how many approvals it needs.

        Raises Conflict when it is not pending any more.
        """
        ...

    def approve(self, promotion_id: str, approval: Approval) -> None: ...

    def overdue(self, now: datetime) -> Sequence[Promotion]:
        """Pending, though their time is over."""
        ...


@dataclass(frozen=True)
class Answer:
    """What a request was answered with: an HTTP status, the body's bytes, and headers of its own."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Answers(Protocol):
    """Answers to requests with an Idempotency-Key, by token and key."""

    def claim(self, token_id: str, key: str, fingerprint: str, at: datetime, since: datetime) -> Answer | None:
        """None for a key that is new or older than `since`: it is the caller's now; else its answer.

        Waits for a transaction that has claimed the same key. Raises KeyReused when that was another request.
        """
        ...

    def keep(self, token_id: str, key: str, answer: Answer) -> None:
        """Write the answer of a claimed key."""
        ...

    def purge(self, before: datetime) -> int:
        """Forget what was claimed before; answers with how many."""
        ...
