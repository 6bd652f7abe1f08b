"""Two versions side by side: rows of what differs, by section."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Change = Literal["added", "removed", "changed", "same"]
MAX_ROWS = 1000
"""Rows of a section that are told."""
MAX_TEXT = 500
"""Characters of a value that are told."""
_ABSENT = object()


@dataclass(frozen=True)
class Row:
    """One thing of both versions, in JSON's own types; None where a version does not have it."""

    name: str
    change: Change
    before: Any
    after: Any


@dataclass(frozen=True)
class Section:
    """`rows` by name; `same` counts what is equal, `left_out` the rows over MAX_ROWS, `notes` tell what is not read."""

    rows: tuple[Row, ...]
    same: int
    left_out: int = 0
    notes: tuple[str, ...] = ()


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], *, equal: bool = False, notes: tuple[str, ...] = ()
) -> Section:
    """`equal`: also the rows that are the same."""
    rows: list[Row] = []
    same = 0
    for name in sorted({*before, *after}):
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        change = _change(old, new)
        same += change == "same"
        if equal or change != "same":
            rows.append(Row(_cut(name), change, _told(old), _told(new)))
    return Section(tuple(rows[:MAX_ROWS]), same, max(0, len(rows) - MAX_ROWS), notes)


def _change(old: Any, new: Any) -> Change:
    if old is _ABSENT:
        return "added"
    if new is _ABSENT:
        return "removed"
    return "same" if old == new else "changed"


def _told(value: Any) -> Any:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False)
        return value if len(text) <= MAX_TEXT else _cut(text)
    return value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """The leaves of nested objects by dotted name; lists and empty objects are leaves."""
    if not isinstance(value, Mapping) or (not value and name):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{name}.{key}" if name else str(key))
    return found
