"""The same export at another time, and what is counted of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.small_exports import SYSTEM, Document, changed

THIRD = "3" * 32


def at(document: Document, export_time: int) -> Document:
    """The same, exported at another time."""
    return changed(document, "system", {**SYSTEM, "export_time": export_time})


def counted(report: Mapping[str, Any], kind: str) -> dict[str, int]:
    return {what: count for what, count in report["counts"][kind].items() if count and what != "found"}
