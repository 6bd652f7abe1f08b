"""Ids and names here for those there, and back."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.usecases.model_ports import Origin, VersionOrigin


class PostgresOrigins:
    """Implements `service.usecases.model_ports.Origins`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def experiments(self, workspace: str, original_id: str) -> Sequence[Origin]:
        e = t.experiments
        return self._experiments((e.c.workspace == workspace) & (e.c.original_id == original_id))

    def of_experiment(self, experiment_id: str) -> Sequence[Origin]:
        if not (experiment_id.isascii() and experiment_id.isdigit() and len(experiment_id) < 19):
            return []
        return self._experiments(t.experiments.c.experiment_id == int(experiment_id))

    def _experiments(self, condition: sa.ColumnElement[bool]) -> Sequence[Origin]:
        rows = self._connection.execute(
            sa.select(t.experiments, m.experiments.c.name)
            .join_from(t.experiments, m.experiments, m.experiments.c.experiment_id == t.experiments.c.experiment_id)
            .where(condition)
            .order_by(t.experiments.c.workspace, t.experiments.c.original_id, t.experiments.c.original_name)
            .order_by(t.experiments.c.experiment_id)
        )
        return [
            Origin(
                workspace=row.workspace,
                original_id=row.original_id,
                id=str(row.experiment_id),
                name=row.name,
                import_id=row.import_id,
                lineage={"original_name": row.original_name, **row.lineage},
            )
            for row in rows
        ]

    def logged_models(self, workspace: str, original_id: str) -> Sequence[Origin]:
        g = t.logged_models
        return self._logged_models((g.c.workspace == workspace) & (g.c.original_model_id == original_id))

    def of_logged_model(self, model_id: str) -> Sequence[Origin]:
        return self._logged_models(t.logged_models.c.model_id == model_id)

    def _logged_models(self, condition: sa.ColumnElement[bool]) -> Sequence[Origin]:
        rows = self._connection.execute(
            sa.select(t.logged_models, m.logged_models.c.name)
            .join_from(t.logged_models, m.logged_models, m.logged_models.c.model_id == t.logged_models.c.model_id)
            .where(condition)
        )
        return [
            Origin(row.workspace, row.original_model_id, row.model_id, row.name, row.import_id, row.lineage)
            for row in rows
        ]

    def models(self, workspace: str, original_name: str) -> Sequence[Origin]:
        rows = self._connection.execute(
            sa.select(t.models)
            .where(
                t.models.c.workspace == workspace,
                t.models.c.lineage["original_model"].astext == original_name,
                t.models.c.deleted_at.is_(None),
            )
            .order_by(t.models.c.name)
        )
        return [
            Origin(workspace, original_name, row.name, row.name, row.lineage.get("import_id", ""), row.lineage)
            for row in rows
        ]

    def versions(self, workspace: str, original_model: str, original_version: str) -> Sequence[VersionOrigin]:
        v = t.versions
        rows = self._connection.execute(
            sa.select(v)
            .where(
                v.c.workspace == workspace,
                v.c.original_model == original_model,
                v.c.original_version == original_version,
                v.c.deleted_at.is_(None),
            )
            .order_by(v.c.model, v.c.version)
        )
        return [
            VersionOrigin(workspace, original_model, original_version, row.model, row.version, row.digest)
            for row in rows
        ]
