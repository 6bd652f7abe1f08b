"""Ids and names here for those there in memory, and back."""

from __future__ import annotations

from collections.abc import Sequence

from service.stores.memory_state import State
from service.usecases.model_ports import Origin, VersionOrigin


class MemoryOrigins:
    def __init__(self, state: State) -> None:
        self._state = state

    def experiments(self, workspace: str, original_id: str) -> Sequence[Origin]:
        known = self._state.experiment_origins.values()
        return [origin for origin in known if (origin.workspace, origin.original_id) == (workspace, original_id)]

    def of_experiment(self, experiment_id: str) -> Sequence[Origin]:
        return [origin for origin in self._state.experiment_origins.values() if origin.id == experiment_id]

    def logged_models(self, workspace: str, original_id: str) -> Sequence[Origin]:
        origin = self._state.logged_model_origins.get((workspace, original_id))
        return [origin] if origin else []

    def of_logged_model(self, model_id: str) -> Sequence[Origin]:
        return [origin for origin in self._state.logged_model_origins.values() if origin.id == model_id]

    def models(self, workspace: str, original_name: str) -> Sequence[Origin]:
        return [
            Origin(workspace, original_name, name, name, held.lineage.get("import_id", ""), held.lineage)
            for name, held in sorted(self._state.models.items())
            if (held.workspace, held.lineage.get("original_model"), held.deleted) == (workspace, original_name, False)
        ]

    def versions(self, workspace: str, original_model: str, original_version: str) -> Sequence[VersionOrigin]:
        wanted = (workspace, original_model, original_version)
        return [
            VersionOrigin(*wanted, held.version.model, held.version.version, held.version.digest)
            for _, held in sorted(self._state.versions.items())
            if (held.workspace, held.original_model, held.original_version) == wanted and not held.deleted
        ]
