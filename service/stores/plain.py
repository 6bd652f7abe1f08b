"""Data as a JSON column of Postgres can hold it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def plain(value: Any) -> Any:
    """A deep copy in JSON's own types, without NUL and lone surrogates; all else, NaN too, becomes text."""
    if isinstance(value, Mapping):
        return {_text(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return json.loads(json.dumps(value), parse_constant=str)
    return value if value is None or isinstance(value, int) else _text(value)


def _text(value: Any) -> str:
    return _UNSTORABLE.sub("", value if isinstance(value, str) else str(value))
