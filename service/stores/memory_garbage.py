"""What tells garbage from what is needed, and when bytes were verified, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from service.domain.importing import ImportState
from service.domain.layout import VERSIONS, digest_of, version_prefix
from service.domain.promotion import PromotionState
from service.stores.memory_state import State
from service.usecases.garbage_ports import Unneeded


class MemoryClaims:
    def __init__(self, state: State) -> None:
        self._state = state

    def claim(self, holder: str, folders: Collection[str], until: datetime) -> None:
        for folder in folders:
            self._state.claims[folder, holder] = until
            if folder.startswith(VERSIONS):
                self._state.marks.pop(digest_of(folder), None)

    def release(self, holder: str) -> None:
        for key in [key for key in self._state.claims if key[1] == holder]:
            del self._state.claims[key]


def claimed(state: State, now: datetime) -> set[str]:
    """Folders that somebody claims."""
    imports = [held.import_ for held in state.imports.values()]
    running = {known.id for known in imports if known.state is ImportState.RUNNING}
    return {folder for (folder, holder), until in state.claims.items() if until > now or holder in running}


class MemoryGarbage:
    def __init__(self, state: State) -> None:
        self._state = state

    def unneeded(self, now: datetime, since: datetime) -> Sequence[Unneeded]:
        needed = self._needed(now, since)
        return [
            Unneeded(digest, len(manifest.files), manifest.size, self._state.marks.get(digest))
            for digest, manifest in sorted(self._state.manifests.items())
            if digest not in needed
        ]

    def mark(self, now: datetime, since: datetime) -> None:
        folders = claimed(self._state, now)
        self._state.claims = {key: until for key, until in self._state.claims.items() if key[0] in folders}
        unneeded = [each.digest for each in self.unneeded(now, since)]
        self._state.marks = {digest: self._state.marks.get(digest, now) for digest in unneeded}

    def remove(self, digest: str, now: datetime, since: datetime, before: datetime) -> bool:
        for each in self.unneeded(now, since):
            if each.digest == digest and each.marked_at is not None and each.marked_at <= before:
                del self._state.manifests[digest], self._state.marks[digest]
                self._state.verified.pop(digest, None)
                for key in [key for key in self._state.signatures if key[0] == digest]:
                    del self._state.signatures[key]
                self._state.tars.pop(digest, None)
                self._state.damages = {key: item for key, item in self._state.damages.items() if key[0] != digest}
                return True
        return False

    def _needed(self, now: datetime, since: datetime) -> set[str | None]:
        live = [held.version.digest for held in self._state.versions.values() if not held.deleted]
        needed: set[str | None] = set(live)
        for changes in self._state.transitions.values():
            for change in changes:
                if change.at >= since:
                    needed |= {change.digest, change.previous_digest}
        pending = (each for each in self._state.promotions.values() if each.state is PromotionState.PENDING)
        needed.update(each.digest for each in pending)
        needed.update(each.digest for each in self._state.instances.values() if each.lease_end > now)
        folders = claimed(self._state, now)
        needed.update(digest for digest in self._state.manifests if version_prefix(digest) in folders)
        return needed


class MemoryChecks:
    def __init__(self, state: State) -> None:
        self._state = state

    def due(self, before: datetime, limit: int, after: str) -> Sequence[str]:
        verified = self._state.verified
        found = [each for each in self._state.manifests if each not in verified or verified[each] < before]
        return sorted(digest for digest in found if digest > after)[:limit]

    def checked(self, digest: str, at: datetime) -> None:
        if digest in self._state.manifests:
            self._state.verified[digest] = at

    def versions(self, digest: str) -> Sequence[tuple[str, int]]:
        held = self._state.versions.items()
        return sorted(key for key, each in held if each.version.digest == digest and not each.deleted)
