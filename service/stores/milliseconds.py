"""Times as MLflow's tables keep them: whole milliseconds since 1970 (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def now_ms() -> int:
    return milliseconds(datetime.now(UTC))
