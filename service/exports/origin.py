"""Where a run or experiment was first, when an earlier import by the export tool left it in tags."""

from __future__ import annotations

from collections.abc import Mapping

ROOTS = ("mlflow_export_import.", "mlflow_exim.")
"""The older one first: its import was the earlier."""
_FIELDS = ("run_id", "experiment_id", "experiment_name", "name", "user_id", "start_time", "end_time", "tracking_uri")
_GROUPS = ("run_info", "metadata", "field", "mlflow_tag")


def is_source_tag(key: str) -> bool:
    return key.startswith(ROOTS)


def first_origin(tags: Mapping[str, str]) -> dict[str, str]:
    """What the tags of earlier imports say of the first origin, by field; empty when there was no such import."""
    found: dict[str, str] = {}
    for field in _FIELDS:
        values = [tags.get(f"{root}{group}.{field}") for root in ROOTS for group in _GROUPS]
        first = next(filter(None, values), None)
        if first:
            found[field] = first
    return found
