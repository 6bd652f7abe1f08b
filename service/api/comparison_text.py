"""A comparison as text, for a terminal or a chat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from service.domain.comparison import Change, Row, Section
from service.usecases.compare_versions import Comparison, Side

MARKS: Mapping[Change, str] = {"added": "+", "removed": "-", "changed": "~", "same": " "}
WIDEST = 60
"""Characters of a column; more of a value is cut."""


def comparison_text(found: Comparison) -> str:
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield _plain(f"{found.before.version.model}: {_side(found.before)} -> {_side(found.after)}")
    for name, section in found.sections.items():
        yield ""
        yield f"{name}{_counted(section)}"
        yield from _rows(section)
        yield from (f"  {_plain(note)}" for note in section.notes)
        if section.left_out:
            yield f"  … {section.left_out} more"


def _side(side: Side) -> str:
    number = f"version {side.version.version}"
    return f"{side.assignment.environment}:{side.assignment.stage} ({number})" if side.assignment else number


def _counted(section: Section) -> str:
    shown = sum(row.change == "same" for row in section.rows)
    return f" ({section.same} the same)" if section.same > shown else ""


def _rows(section: Section) -> Iterator[str]:
    cells = [(MARKS[row.change], _cell(row.name), *_values(row)) for row in section.rows]
    names = max((len(cell[1]) for cell in cells), default=0)
    olds = max((len(cell[2]) for cell in cells), default=0)
    for mark, name, old, new in cells:
        yield f"  {mark} {name:<{names}}  {old:<{olds}}  {new}".rstrip()


def _values(row: Row) -> tuple[str, str]:
    return _value(row.before, row.change == "added"), _value(row.after, row.change == "removed")


def _value(value: Any, absent: bool) -> str:
    if absent:
        return ""
    if isinstance(value, dict) and value.keys() == {"size", "sha256"}:
        return f"{value['size']} bytes {value['sha256'][:12]}"
    return _cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))


def _cell(text: str) -> str:
    text = _plain(text)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _plain(text: str) -> str:
    """Nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
