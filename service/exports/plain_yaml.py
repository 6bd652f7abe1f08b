"""YAML that may be hostile, as plain data: nothing in it is constructed or followed."""

from __future__ import annotations

from typing import Any

import yaml

from service.exports.plain import MAX_DEPTH

MAX_SIZE = 1024 * 1024


def read_yaml(data: bytes) -> Any:
    """None when the bytes are not YAML that can be trusted to be small: too long, too deep, or with aliases."""
    if len(data) > MAX_SIZE:
        return None
    try:
        depth = 0
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):  # a few of them can stand for gigabytes
                return None
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return None
        return yaml.load(data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
