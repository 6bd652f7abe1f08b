"""What promotions are to do, in a hundred lines: the model that the service is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

LIFETIME = 60
"""Minutes that an approval is good for."""
PENDING = 30 * 24 * 60


@dataclass
class Asked:
    """A promotion that waits: `at` is the stage's revision then."""

    version: int
    by: str
    at: int
    since: int
    restores: int | None = None
    approvals: dict[str, int] = field(default_factory=dict)
    revoked: bool = False


@dataclass
class Stage:
    """`changes` holds (version, restores) for each revision, the first at index 0."""

    changes: list[tuple[int | None, int | None]] = field(default_factory=list)
    asked: Asked | None = None

    @property
    def current(self) -> int | None:
        return self.changes[-1][0] if self.changes else None

    @property
    def revision(self) -> int:
        return len(self.changes)


class Reference:
    """Each method answers with `applied`, `pending`, `nothing`, or the slug of the refusal."""

    def __init__(self, needed: dict[str, int], skips: set[str]) -> None:
        self.needed, self.skips = needed, skips
        self.stages: dict[tuple[str, str], Stage] = {}
        self.withdrawn: set[int] = set()
        self.frozen: set[str] = set()
        self.now = 0

    def stage(self, environment: str, stage: str) -> Stage:
        return self.stages.setdefault((environment, stage), Stage())

    def change(self, stage: Stage, version: int | None, restores: int | None = None) -> str:
        stage.changes.append((version, restores))
        stage.asked = None
        return "applied"

    def promote(self, where: tuple[str, str], version: int, by: str, expected: int | None) -> str:
        stage = self.stage(*where)
        if expected is not None and expected != stage.revision and (expected or stage.current is not None):
            return "stale"
        return self.bring_in(where, version, by)

    def bring_in(self, where: tuple[str, str], version: int, by: str, restores: int | None = None) -> str:
        stage = self.stage(*where)
        if version == stage.current:
            return "nothing"
        if where[0] in self.frozen:
            return "frozen"
        if version in self.withdrawn:
            return "version-withdrawn"
        if not self.needed[where[0]] or (restores is not None and where[0] in self.skips):
            return self.change(stage, version, restores)
        asked = stage.asked
        if asked is None or (asked.version, asked.restores) != (version, restores) or self.over(asked):
            stage.asked = Asked(version, by, stage.revision, self.now, restores)
        return "pending"

    def over(self, asked: Asked) -> bool:
        return self.now >= asked.since + PENDING

    def approve(self, where: tuple[str, str], by: str) -> str:
        stage = self.stage(*where)
        asked = stage.asked
        if asked is None or self.over(asked):
            return "promotion-closed"
        if by == asked.by:
            return "self-approval"
        if where[0] in self.frozen:
            return "frozen"
        asked.approvals = {name: at for name, at in asked.approvals.items() if self.now < at + LIFETIME}
        if by in asked.approvals:
            return "already-approved"
        asked.approvals[by] = self.now
        if asked.revoked:
            stage.asked = None
            return "requester-revoked"
        if len(asked.approvals) < self.needed[where[0]]:
            return "pending"
        return self.change(stage, asked.version, asked.restores)

    def revoke(self, who: str) -> None:
        """Whoever holds the token gets another one."""
        for stage in self.stages.values():
            if stage.asked:
                stage.asked.approvals.pop(who, None)
                stage.asked.revoked |= stage.asked.by == who

    def end(self, where: tuple[str, str]) -> str:
        """Reject or cancel."""
        stage = self.stage(*where)
        closed = stage.asked is None or self.over(stage.asked)
        stage.asked = None
        return "promotion-closed" if closed else "ended"

    def before(self, stage: Stage) -> int | None:
        """The revision that going back goes to."""
        origin = stage.revision
        while origin and (restores := stage.changes[origin - 1][1]) is not None:
            origin = restores
        for revision in range(origin - 1, 0, -1):
            version = stage.changes[revision - 1][0]
            if version not in (None, stage.current) and version not in self.withdrawn:
                return revision
        return None

    def roll_back(self, where: tuple[str, str], by: str, to: int | None) -> str:
        stage = self.stage(*where)
        if to is not None and to > stage.revision:
            return "revision-not-found"
        to = self.before(stage) if to is None else to
        if to is None:
            return "nothing-to-roll-back-to"
        version = stage.changes[to - 1][0]
        return "conflict" if version is None else self.bring_in(where, version, by, to)

    def empty(self, where: tuple[str, str]) -> str:
        stage = self.stage(*where)
        if stage.current is None:
            return "assignment-not-found"
        return "frozen" if where[0] in self.frozen else self.change(stage, None)

    def withdraw(self, version: int, then: str) -> None:
        self.withdrawn.add(version)
        for stage in self.stages.values():
            if stage.asked and stage.asked.version == version:
                stage.asked = None
            if stage.current == version:
                to = self.before(stage) if then == "fallback" else None
                self.change(stage, stage.changes[to - 1][0] if to else None, to)
