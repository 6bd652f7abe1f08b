"""Which of the bucket's folders records in memory refer to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.domain.importing import ImportState
from service.domain.layout import ARCHIVES, folder_of, trace_of, version_prefix
from service.domain.uploading import UploadState
from service.stores.memory_garbage import claimed
from service.stores.memory_state import State
from service.stores.references import is_ours


class MemoryReferences:
    def __init__(self, state: State) -> None:
        self._state = state

    def unused(self, folders: Sequence[str], now: datetime) -> Sequence[str]:
        imports = [held.import_ for held in self._state.imports.values()]
        taken_in = {known.key for known in imports if known.state is ImportState.DONE}
        used: set[str | None] = {
            f"{ARCHIVES}{known.id}/"
            for known in imports
            if not known.state.final
            or (known.state is ImportState.FAILED and known.archive_is_kept(now) and known.key not in taken_in)
        }
        uploads = self._state.uploads.values()
        used.update(f"{ARCHIVES}{held.id}/" for held in uploads if held.state is UploadState.OPEN)
        used.update(folder_of(run.artifact_uri) for run in self._state.runs.values())
        used.update(map(folder_of, self._state.logged_models.values()))
        used.update(map(version_prefix, self._state.manifests))
        used.update(folder for folder in folders if trace_of(folder) in self._state.traces)
        used |= claimed(self._state, now)
        return [folder for folder in folders if is_ours(folder) and folder not in used]

    def hold(self) -> None:
        """Transactions take turns."""
