"""What a rule says when it says no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

SHOWN = 5
"""How many names a refusal lists."""


@dataclass(frozen=True)
class Refused:
    """`rule` is one of RULES; `expected` and `found` are short; `detail` is one sentence with both."""

    rule: str
    expected: str
    found: str
    detail: str


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(cut(name) for name in names[:SHOWN]) + more


def cut(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def span(length: timedelta) -> str:
    """`1d 2h 3m`; seconds only below a minute."""
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count)
