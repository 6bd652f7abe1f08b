"""What MLflow keeps of a trace's metadata and assessments in columns of their own, for its statistics.

The numbers are those that MLflow's own store would write.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

SESSION = "mlflow.trace.session"
TOKENS = "mlflow.trace.tokenUsage"
COST = "mlflow.trace.cost"
PROMOTED = (SESSION, TOKENS, COST)
"""Metadata that are read back from columns, not from rows."""

_TOKEN_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
_COST_COLUMNS = ("input_cost", "output_cost", "total_cost")
_BIGGEST = 2**63 - 1


def promoted_columns(metadata: Mapping[str, str]) -> dict[str, float | int | str | None]:
    """Every one of the columns; None for what is not told or is no number."""
    tokens, cost = _object(metadata.get(TOKENS)), _object(metadata.get(COST))
    return {
        "session_id": metadata.get(SESSION),
        **{column: _count(tokens.get(column)) for column in _TOKEN_COLUMNS},
        **{column: _amount(cost.get(column)) for column in _COST_COLUMNS},
    }


def assessed(value: Any) -> tuple[float | None, bool]:
    """An assessment's value as a number to compute with, and whether it was one."""
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, int | float):
        amount = _amount(value)
        return amount, amount is not None
    if isinstance(value, str) and value.strip().lower() in ("yes", "no"):
        return float(value.strip().lower() == "yes"), False
    return None, False


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    amount = value if isinstance(value, int) else _amount(value)
    if amount is None or isinstance(value, bool) or amount != int(amount) or abs(amount) > _BIGGEST:
        return None
    return int(amount)


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None
