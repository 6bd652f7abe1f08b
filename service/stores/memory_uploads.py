"""Uploads in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.errors import Conflict, NotFound
from service.domain.refusals import CHANGED_AT_ONCE
from service.domain.uploading import Upload, UploadState
from service.stores.memory_state import State


class MemoryUploads:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, new: Upload) -> Upload:
        if new.workspace not in self._state.workspaces:
            raise Conflict(CHANGED_AT_ONCE)
        for held in self._open(new.workspace):
            if new.sha256 and (held.size, held.sha256) == (new.size, new.sha256):
                return held
        self._state.uploads[new.id] = new
        return new

    def get(self, workspace: str, upload_id: str) -> Upload:
        held = self._state.uploads.get(upload_id)
        if held is None or held.workspace != workspace or held.state is UploadState.ENDING:
            raise NotFound("upload", upload_id)
        return held

    def count_open(self, workspace: str) -> int:
        return len(self._open(workspace))

    def complete(self, upload_id: str) -> bool:
        return self._leave_open(upload_id, UploadState.COMPLETED)

    def end(self, upload_id: str) -> bool:
        return self._leave_open(upload_id, UploadState.ENDING)

    def unfinished(self, before: datetime) -> Sequence[Upload]:
        found = [
            held
            for held in self._state.uploads.values()
            if held.state is UploadState.ENDING or (held.state is UploadState.OPEN and held.expires_at < before)
        ]
        return sorted(found, key=lambda held: held.expires_at)

    def delete(self, upload_id: str) -> None:
        held = self._state.uploads.get(upload_id)
        if held is not None and held.state is UploadState.ENDING:
            del self._state.uploads[upload_id]

    def _open(self, workspace: str) -> Sequence[Upload]:
        return [
            held
            for held in self._state.uploads.values()
            if held.workspace == workspace and held.state is UploadState.OPEN
        ]

    def _leave_open(self, upload_id: str, state: UploadState) -> bool:
        held = self._state.uploads.get(upload_id)
        if held is None or held.state is not UploadState.OPEN:
            return False
        self._state.uploads[upload_id] = replace(held, state=state)
        return True
