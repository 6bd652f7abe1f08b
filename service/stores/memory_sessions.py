"""Browsers' sessions that were ended, in memory."""

from __future__ import annotations

from datetime import datetime

from service.stores.memory_state import State


class MemoryEndedSessions:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, session_id: str, now: datetime, until: datetime) -> None:
        held = self._state.ended_sessions
        for each in [each for each, end in held.items() if end < now]:
            del held[each]
        held.setdefault(session_id, until)

    def has(self, session_id: str) -> bool:
        return session_id in self._state.ended_sessions
