"""What happened to a stage: one row for each change, kept for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.domain.environment import Place, stage_tag
from service.domain.errors import PreconditionFailed, Stale


class ChangeKind(StrEnum):
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    WITHDRAWAL = "withdrawal"
    IMPORT = "import"
    EMPTIED = "emptied"


@dataclass(frozen=True)
class Transition:
    """A change of a stage; `version` and `digest` are None when it left the stage empty.

    `restores` is the earlier revision that a rollback or a withdrawal went back to. `promotion_id` names the
    promotion that was applied, if one was. `over_freeze`: an administrator asked to go over any freeze.
    """

    environment: str
    model: str
    stage: str
    revision: int
    version: int | None
    digest: str | None
    previous_version: int | None
    previous_digest: str | None
    kind: ChangeKind
    promotion_id: str | None
    restores: int | None
    over_freeze: bool
    actor: str
    actor_id: str
    comment: str
    at: datetime

    @property
    def place(self) -> Place:
        return Place(self.environment, self.model, self.stage)


@dataclass(frozen=True)
class Stay:
    """A time during which a version was current; `until` is None while it is, `ended_by` what ended it."""

    environment: str
    stage: str
    revision: int
    since: datetime
    by: str
    kind: ChangeKind
    until: datetime | None
    ended_by: ChangeKind | None


def told(last: Transition | None) -> dict[str, Any]:
    """The state of a stage after its last change, as problems and records show it; revision 0: never used."""
    if last is None:
        return {"revision": 0, "version": None, "digest": None}
    return {"revision": last.revision, "version": last.version, "digest": last.digest}


@dataclass(frozen=True)
class Precondition:
    """What the caller believes the stage to be; None does not ask.

    Args:
        revision: of its last change; 0: it is empty.
        tags: of If-Match, each an ETag of the hand-out without quotes; `*`: it holds a version.
    """

    revision: int | None = None
    tags: frozenset[str] | None = None

    def check(self, last: Transition | None) -> None:
        """Raises Stale or PreconditionFailed, both with what is current."""
        holds = last is not None and last.version is not None
        at = last.revision if last else 0
        if self.revision is not None and self.revision != at and (self.revision or holds):
            raise Stale(
                f"The stage is at revision {at}, not at {self.revision}.", expected=self.revision, current=told(last)
            )
        if self.tags is not None and not (last is not None and holds and self._matches(self.tags, last)):
            raise PreconditionFailed(
                "The stage is not what If-Match says any more.", header="If-Match", current=told(last)
            )

    def _matches(self, tags: frozenset[str], last: Transition) -> bool:
        return "*" in tags or stage_tag(last.place, last.revision, last.digest or "") in tags


UNASKED = Precondition()
