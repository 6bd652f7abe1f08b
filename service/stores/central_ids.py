"""Ids here for ids there."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa

from service.stores import mlflow_tables as m
from service.stores import tables as t

_NAMESPACE = uuid.UUID("6f3f2f0e-7a0c-5e5b-9a55-2a4b2f0d9c11")


class PostgresCentralIds:
    """Implements `service.usecases.ports.CentralIds` for one workspace; each id is looked up once.

    An id that is taken by another workspace, or by a run logged here, becomes one derived from the workspace
    and the original, so that every attempt at the same import derives the same.
    """

    def __init__(self, engine: sa.Engine, workspace: str) -> None:
        self._engine = engine
        self._workspace = workspace
        self._runs: dict[str, str] = {}
        self._models: dict[str, str] = {}

    def run(self, original: str) -> str:
        if original not in self._runs:
            mapped = sa.select(t.runs.c.run_id).where(
                t.runs.c.workspace == self._workspace, t.runs.c.original_run_id == original
            )
            taken = sa.select(m.runs.c.run_uuid).where(m.runs.c.run_uuid == original)
            self._runs[original] = self._central(original, mapped, taken) or self._derived(original)
        return self._runs[original]

    def logged_model(self, original: str) -> str:
        if original not in self._models:
            mapped = sa.select(t.logged_models.c.model_id).where(
                t.logged_models.c.workspace == self._workspace, t.logged_models.c.original_model_id == original
            )
            taken = sa.select(m.logged_models.c.model_id).where(m.logged_models.c.model_id == original)
            self._models[original] = self._central(original, mapped, taken) or "m-" + self._derived(original)
        return self._models[original]

    def _central(self, original: str, mapped: sa.Select[Any], taken: sa.Select[Any]) -> str | None:
        with self._engine.connect() as connection:
            central: str | None = connection.scalar(mapped)
            if central is not None:
                return central
            return original if connection.scalar(taken) is None else None

    def _derived(self, original: str) -> str:
        return uuid.uuid5(_NAMESPACE, f"{self._workspace}\n{original}").hex
