"""The rules of a policy, each plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar, get_args

from service.domain.errors import InvalidInput

RuleName = Literal[
    "came_from",
    "approvals",
    "signature",
    "input_example",
    "tags",
    "metrics",
    "regressions",
    "flavors",
    "files",
    "no_pickle",
    "source_workspaces",
    "freezes",
]
RULES: tuple[RuleName, ...] = get_args(RuleName)
"""Their names, which are the document's fields and what a refusal names, in the order they are looked at."""
DURATION_PATTERN = "^[1-9][0-9]{0,3}[smhdw]$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
Source = Literal["run", "evaluation"]
T = TypeVar("T")


@dataclass(frozen=True)
class CameFrom:
    """The same bytes are or were current in that stage, for at least `held_for`.

    `unbroken`: for one stretch of that length, else for all stretches together. `still_there`: also now.
    """

    environment: str
    stage: str
    held_for: timedelta = timedelta()
    unbroken: bool = True
    still_there: bool = False


@dataclass(frozen=True)
class Approvals:
    """`count` people other than the promoter; each approval is good for `valid_for`."""

    count: int
    valid_for: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class RequiredTag:
    """A tag of the version with that value, or one that the glob `pattern` matches; neither: any value."""

    key: str
    value: str | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class MetricBound:
    """`source` run: the latest value of the version's run; evaluation: the latest one logged for its logged model.

    `dataset` picks the evaluations on the dataset of that name; empty: any.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    source: Source = "run"
    dataset: str = ""


@dataclass(frozen=True)
class NoRegression:
    """Not worse by more than `margin` (absolute) than the version that is in the stage now.

    `without_current`: what to say when that one was not measured; an empty stage is always fine.
    """

    metric: str
    better: Literal["higher", "lower"]
    margin: float = 0.0
    source: Source = "run"
    dataset: str = ""
    without_current: Literal["refuse", "pass"] = "refuse"


@dataclass(frozen=True)
class Choice:
    """What there is must be in `allowed`, unless that is empty, and must not be in `forbidden`."""

    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class FreezeWindow:
    """No change from each time that the cron expression `start` names, for `duration` of elapsed time."""

    start: str
    duration: timedelta
    time_zone: str
    reason: str = ""


@dataclass(frozen=True)
class Policy:
    """What a version must meet to go into a stage: one rule a field; one that is empty, false or None does not apply.

    `rollback_skips` names the rules that going back to an earlier version need not meet. Not to be worse is one
    of them unless a policy says otherwise: the version to go back to often is.
    """

    came_from: tuple[CameFrom, ...] = ()
    approvals: Approvals | None = None
    signature: bool = False
    input_example: bool = False
    tags: tuple[RequiredTag, ...] = ()
    metrics: tuple[MetricBound, ...] = ()
    regressions: tuple[NoRegression, ...] = ()
    flavors: Choice = Choice()
    files: Choice = Choice()
    no_pickle: bool = False
    source_workspaces: tuple[str, ...] = ()
    freezes: tuple[FreezeWindow, ...] = ()
    rollback_skips: tuple[str, ...] = ("regressions",)


def policy_of(document: Mapping[str, Any]) -> Policy:
    """From JSON, whose shape is already known to be right; durations are texts such as `24h`."""
    values = dict(document)
    approvals = values.get("approvals")
    return Policy(
        came_from=_each(CameFrom, values.get("came_from"), "held_for"),
        approvals=None if approvals is None else _one(Approvals, approvals, "valid_for"),
        signature=values.get("signature", False),
        input_example=values.get("input_example", False),
        tags=_each(RequiredTag, values.get("tags")),
        metrics=_each(MetricBound, values.get("metrics")),
        regressions=_each(NoRegression, values.get("regressions")),
        flavors=_choice(values.get("flavors")),
        files=_choice(values.get("files")),
        no_pickle=values.get("no_pickle", False),
        source_workspaces=tuple(values.get("source_workspaces", ())),
        freezes=_each(FreezeWindow, values.get("freezes"), "duration"),
        rollback_skips=tuple(values.get("rollback_skips", Policy.rollback_skips)),
    )


def duration(text: str) -> timedelta:
    """`90s`, `30m`, `24h`, `7d` or `2w`. Raises InvalidInput."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise InvalidInput(f"{text[:20]!r} is not a duration: use a whole number and one of s, m, h, d, w.")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _each(kind: type[T], rows: Any, *durations: str) -> tuple[T, ...]:
    return tuple(_one(kind, row, *durations) for row in rows or ())


def _one(kind: type[T], row: Mapping[str, Any], *durations: str) -> T:
    """None is what is left out."""
    given = {name: value for name, value in row.items() if value is not None}
    return kind(**{name: duration(value) if name in durations else value for name, value in given.items()})


def _choice(row: Mapping[str, Any] | None) -> Choice:
    return Choice(**{name: tuple(value) for name, value in (row or {}).items()})
