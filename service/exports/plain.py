"""Data of any shape as what JSON and Postgres' JSONB carry."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64
"""Deeper data could be stored, and then not be answered with: serialisers give up at some hundred levels."""
MAX_BITS = 63
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The same data; NaN, infinities, huge integers, times and keys that are no text become texts.

    Raises:
        ValueError: it holds NUL or a half of a surrogate pair, or is nested too deep; the message completes
            "must be …".
    """
    if not depth:
        raise ValueError(f"nested at most {MAX_DEPTH} levels deep")
    match value:
        case str():
            if UNSTORABLE.search(value):
                raise ValueError("free of NUL characters and of halves of surrogate pairs")
            return value
        case bool() | None:
            return value
        case int():
            return value if value.bit_length() <= MAX_BITS else hex(value)
        case float():
            return value if math.isfinite(value) else json.dumps(value)
        case dict():
            return {plain(str(key)): plain(item, depth - 1) for key, item in value.items()}
        case list() | tuple() | set():
            return [plain(item, depth - 1) for item in value]
        case _:
            return plain(str(value))


def shallow(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether lists and objects are nested at most MAX_DEPTH levels deep."""
    if isinstance(value, dict):
        return depth > 0 and all(shallow(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(shallow(item, depth - 1) for item in value)
    return True
