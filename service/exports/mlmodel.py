"""What an MLmodel file says, as plain data. It is hostile input: nothing in it is constructed or followed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.exports.plain import plain
from service.exports.plain_yaml import MAX_SIZE, read_yaml

__all__ = ["MAX_SIZE", "MLmodel", "read_mlmodel"]


@dataclass(frozen=True)
class MLmodel:
    flavors: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] | None = None
    input_example: bool = False


def read_mlmodel(data: bytes) -> MLmodel | None:
    """None when the bytes are not an MLmodel file that can be trusted to be small plain data."""
    document = read_yaml(data)
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
