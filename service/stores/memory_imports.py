"""Imports in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.domain.errors import Conflict, NotFound
from service.domain.importing import Import, ImportState
from service.domain.refusals import CHANGED_AT_ONCE, idempotency_key_used, key_is_elsewhere, not_to_be_retried
from service.stores.memory_state import HeldImport, State
from service.stores.plain import plain

_OPEN = (ImportState.RECEIVED, ImportState.RUNNING)
_LIVE = (*_OPEN, ImportState.DONE)


class MemoryImports:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, new: Import, idempotency_key: str | None) -> Import:
        if new.workspace not in self._state.workspaces or new.id in self._state.imports:
            raise Conflict(CHANGED_AT_ONCE)
        holder = self._holder(new, idempotency_key)
        if holder is not None and not new.may_be(holder):
            raise idempotency_key_used(idempotency_key or "")
        for held in self._live():
            if new.key in (held.import_.key, held.received_key):
                return held.import_
        if holder is not None:
            new = replace(new, source=replace(new.source, shared_key=idempotency_key or ""))
        self._state.imports[new.id] = HeldImport(new, None if holder else idempotency_key, new.key)
        self._state.queued[new.id] = None
        return new

    def _holder(self, new: Import, idempotency_key: str | None) -> Import | None:
        for held in self._live():
            used = held.import_.workspace == new.workspace and held.idempotency_key == idempotency_key
            if idempotency_key and used and new.key not in (held.import_.key, held.received_key):
                return held.import_
        return None

    def _live(self) -> Iterator[HeldImport]:
        return (held for held in self._state.imports.values() if held.import_.state in _LIVE and not held.same_as)

    def get(self, import_id: str) -> Import:
        if import_id not in self._state.imports:
            raise NotFound("import", import_id)
        held = self._state.imports[import_id]
        return self.get(held.same_as) if held.same_as else held.import_

    def list(self, workspace: str | None, limit: int, before: str | None) -> Sequence[Import]:
        found = [held.import_ for held in self._state.imports.values() if not held.same_as]
        if workspace is not None:
            found = [import_ for import_ in found if import_.workspace == workspace]
        if before is not None:
            last = _place(self.get(before))
            found = [import_ for import_ in found if _place(import_) < last]
        return sorted(found, key=_place, reverse=True)[:limit]

    def start(self, import_id: str, at: datetime) -> Import | None:
        known = self._open(import_id)
        if known is None:
            return None
        return self._write(replace(known, state=ImportState.RUNNING, started_at=at, attempts=known.attempts + 1))

    def identify(self, import_id: str, attempt: int, archive_digest: str, key: str) -> Import:
        known = self._open(import_id, attempt)
        shared = self.get(import_id).source.shared_key
        holder = self._holder(replace(self.get(import_id), key=key), shared)
        if holder is not None:
            raise key_is_elsewhere(holder, shared)
        if known is not None:
            other = next((held.import_ for held in self._live() if held.import_.key == key), known)
            if other.id == known.id:
                return self._write(replace(known, archive_digest=archive_digest, key=key))
            self._state.imports[import_id] = replace(self._state.imports[import_id], same_as=other.id)
        return self.get(import_id)

    def progress(self, import_id: str, attempt: int, progress: Mapping[str, int]) -> bool:
        known = self._open(import_id, attempt)
        if known is None:
            return False
        self._write(replace(known, progress=dict(progress)))
        return True

    def finish(
        self,
        import_id: str,
        state: ImportState,
        at: datetime,
        report: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> bool:
        known = self._in(state.ends, import_id, attempt)
        if known is None:
            return False
        self._write(replace(known, state=state, finished_at=at, report=plain(report), problem=plain(problem)))
        return True

    def retry(self, import_id: str) -> Import:
        known = self.get(import_id)
        if known.state is not ImportState.FAILED or any(held.import_.key == known.key for held in self._live()):
            raise not_to_be_retried(known.state)
        self._state.queued[import_id] = None
        return self._write(replace(known, state=ImportState.RECEIVED, finished_at=None, problem=None, progress={}))

    def requeue(self) -> Sequence[str]:
        lost = [held.import_.id for held in self._state.imports.values() if not held.import_.state.final]
        lost = [import_id for import_id in lost if import_id not in self._state.queued]
        self._state.queued.update(dict.fromkeys(lost))
        return lost

    def _open(self, import_id: str, attempt: int | None = None) -> Import | None:
        return self._in(_OPEN, import_id, attempt)

    def _in(self, states: Sequence[ImportState], import_id: str, attempt: int | None) -> Import | None:
        held = self._state.imports.get(import_id)
        if held is None or held.same_as or held.import_.state not in states:
            return None
        return held.import_ if attempt in (None, held.import_.attempts) else None

    def _write(self, changed: Import) -> Import:
        self._state.imports[changed.id] = replace(self._state.imports[changed.id], import_=changed)
        return changed


def _place(import_: Import) -> tuple[datetime, str]:
    return import_.created_at, import_.id
