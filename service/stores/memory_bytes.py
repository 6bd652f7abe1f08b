"""What is known of stored bytes, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from service.stores.memory_state import State
from service.usecases.bytes_ports import Damage


class MemoryDamages:
    def __init__(self, state: State) -> None:
        self._state = state

    def mark(self, digest: str, path: str, reason: str, at: datetime) -> bool:
        if digest not in self._state.manifests or (digest, path) in self._state.damages:
            return False
        self._state.damages[digest, path] = Damage(digest, path, reason, at)
        return True

    def of(self, digest: str) -> Sequence[Damage]:
        found = (item for item in self._state.damages.values() if item.digest == digest)
        return sorted(found, key=lambda item: item.path)

    def clear(self, digest: str, before: datetime, but: Collection[str] = ()) -> bool:
        found = [item for item in self.of(digest) if item.at < before and item.path not in but]
        for item in found:
            del self._state.damages[digest, item.path]
        return bool(found)


class MemoryTars:
    def __init__(self, state: State) -> None:
        self._state = state

    def sha256(self, digest: str) -> str:
        return self._state.tars.get(digest, "")

    def keep(self, digest: str, sha256: str) -> None:
        if digest in self._state.manifests:
            self._state.tars.setdefault(digest, sha256)
