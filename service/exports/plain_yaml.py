"""YAML that may be hostile, as plain data: nothing in it is constructed or followed."""

from __future__ import annotations

from typing import Any

import yaml

from service.exports.plain import MAX_DEPTH

MAX_SIZE = 1024 * 1024
MAX_UNQUOTED = 10_000
"""Characters of a value that may become a number: `1:20:30` to the base 60 takes time by the square of its length."""
# The library's constructors fail in many ways when a tag does not fit its value: `!!bool maybe`, `!!int ""`.
_NO_YAML = (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError, ArithmeticError)


def read_yaml(data: bytes) -> Any:
    """None when the bytes are not YAML that can be trusted to be small: too long, too deep, or with aliases.

    Nor when a tag does not fit its value.
    """
    if len(data) > MAX_SIZE:
        return None
    try:
        return yaml.load(data, Loader=yaml.CSafeLoader) if _small(data) else None
    except _NO_YAML:
        return None


def _small(data: bytes) -> bool:
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):  # a few of them can stand for gigabytes
            return False
        if isinstance(event, yaml.ScalarEvent) and not event.implicit[1] and len(event.value) > MAX_UNQUOTED:
            return False
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return False
    return True
