"""Stand-ins in expected bodies for what differs from run to run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta


class Matching:
    """Equal to every text that matches the pattern as a whole."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self._pattern, other) is not None

    def __hash__(self) -> int:
        return hash(self._pattern)

    def __repr__(self) -> str:
        return f"Matching({self._pattern!r})"


class _Now:
    """Equal to every ISO 8601 time in UTC of the last minute."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str) or not other.endswith("Z"):
            return False
        return timedelta() <= datetime.now(UTC) - datetime.fromisoformat(other) < timedelta(minutes=1)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "NOW"


NOW = _Now()
ID = Matching(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DIGEST = Matching(r"sha256:[0-9a-f]{64}")
ETAG = Matching(r'"[0-9a-z:]{64,80}"')
