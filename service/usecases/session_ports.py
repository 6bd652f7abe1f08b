"""What signing out needs; part of `service.usecases.ports`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class EndedSessions(Protocol):
    """Sessions that were ended before their time, for as long as they would have lasted."""

    def add(self, session_id: str, now: datetime, until: datetime) -> None:
        """Forgets those whose time is over at `now`."""
        ...

    def has(self, session_id: str) -> bool: ...
