"""What an MLmodel file says, as plain data. It is hostile input: nothing in it is constructed or followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from service.exports.plain import MAX_DEPTH, plain

MAX_SIZE = 1024 * 1024


@dataclass(frozen=True)
class MLmodel:
    flavors: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] | None = None
    input_example: bool = False


def read_mlmodel(data: bytes) -> MLmodel | None:
    """None when the bytes are not an MLmodel file that can be trusted to be small plain data."""
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
        document = yaml.load(data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("flavors"), dict):
        return None
    try:
        return MLmodel(
            flavors=plain(document["flavors"]),
            signature=_signature(document.get("signature")),
            input_example=document.get("saved_input_example_info") is not None,
        )
    except ValueError:  # text that no database holds
        return None


def _signature(raw: Any) -> dict[str, Any] | None:
    """Inputs, outputs and params; MLflow keeps each as JSON text inside the YAML."""
    if not isinstance(raw, dict):
        return None
    parts: dict[str, Any] = {}
    for key in ("inputs", "outputs", "params"):
        value = raw.get(key)
        try:
            parts[key] = plain(json.loads(value) if isinstance(value, str) else value)
        except (ValueError, RecursionError):
            parts[key] = plain(value)
    return parts if any(parts.values()) else None
