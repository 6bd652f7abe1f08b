"""What MLflow's tables and our transitions know of a version."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from service.domain.model import ModelVersion
from service.domain.policy_facts import Evaluation, Measured
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.stretches import joined
from service.usecases.policy_ports import Stretch

_LOGGED_MODEL = re.compile(r"(?:^|[/:])(m-[0-9a-f]{32})(?:/|$)")


class PostgresEvidence:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def params(self, run_id: str, limit: int) -> Mapping[str, str]:
        p = m.params.c
        rows = self._connection.execute(
            sa.select(p.key, p.value).where(p.run_uuid == run_id).order_by(_by_code_point(p.key)).limit(limit)
        )
        return {row.key: row.value for row in rows}

    def tags(self, model: str, version: int) -> Mapping[str, str]:
        g = m.model_version_tags.c
        rows = self._connection.execute(
            sa.select(g.key, g.value).where(g.workspace == m.WORKSPACE, g.name == model, g.version == version)
        )
        return {row.key: row.value or "" for row in rows}

    def measured(self, version: ModelVersion, names: Collection[str]) -> Measured:
        if not names:
            return Measured()
        latest = m.latest_metrics.c
        rows = self._connection.execute(
            sa.select(latest.key, latest.value, latest.is_nan).where(
                latest.run_uuid == version.run_id, latest.key.in_(names)
            )
        )
        run = {row.key: math.nan if row.is_nan else float(row.value) for row in rows}
        return Measured(run, tuple(self._evaluations(self._logged_model(version), names)))

    def _evaluations(self, model_id: str | None, names: Collection[str]) -> Sequence[Evaluation]:
        """The latest of each metric and dataset, by time, then step."""
        if model_id is None:
            return []
        e, r = m.logged_model_metrics.c, m.metrics.c
        # MLflow keeps a logged model's NaN as 0; only the run that it was logged in knows better.
        is_nan = sa.exists().where(
            r.run_uuid == e.run_id,
            r.key == e.metric_name,
            r.timestamp == e.metric_timestamp_ms,
            r.step == e.metric_step,
            r.is_nan.is_(sa.true()),
        )
        dataset = sa.func.coalesce(e.dataset_name, "")
        newest = (
            sa.select(
                e.metric_name,
                dataset.label("dataset"),
                e.metric_value,
                is_nan.label("is_nan"),
                e.metric_timestamp_ms,
                e.metric_step,
            )
            .where(e.model_id == model_id, e.metric_name.in_(names))
            .distinct(e.metric_name, dataset)
            .order_by(e.metric_name, dataset, e.metric_timestamp_ms.desc(), e.metric_step.desc())
            .subquery()
        )
        rows = self._connection.execute(
            sa.select(newest).order_by(newest.c.metric_timestamp_ms, newest.c.metric_step, newest.c.dataset)
        )
        return [
            Evaluation(row.metric_name, row.dataset, math.nan if row.is_nan else float(row.metric_value))
            for row in rows
        ]

    def metric_names(self, version: ModelVersion, limit: int) -> Sequence[str]:
        latest, e = m.latest_metrics.c, m.logged_model_metrics.c
        names = sa.union(
            sa.select(latest.key.label("name")).where(latest.run_uuid == version.run_id),
            sa.select(e.metric_name).where(e.model_id == (self._logged_model(version) or "")),
        ).subquery()
        query = sa.select(names.c.name).order_by(_by_code_point(names.c.name)).limit(limit)
        return list(self._connection.scalars(query))

    def _logged_model(self, version: ModelVersion) -> str | None:
        """By the id that the version's source names, else the run's last output of the version's name."""
        named = _LOGGED_MODEL.search(version.lineage.original_source)
        if named:
            known: str | None = self._connection.scalar(
                sa.select(t.logged_models.c.model_id).where(
                    t.logged_models.c.workspace == version.lineage.workspace,
                    t.logged_models.c.original_model_id == named[1],
                )
            )
            if known is not None:
                return known
        made: str | None = self._connection.scalar(
            sa.select(m.logged_models.c.model_id)
            .join_from(m.inputs, m.logged_models, m.logged_models.c.model_id == m.inputs.c.destination_id)
            .where(
                m.inputs.c.source_type == "RUN_OUTPUT",
                m.inputs.c.source_id == version.run_id,
                m.inputs.c.destination_type == "MODEL_OUTPUT",
                m.logged_models.c.name == version.lineage.artifact_path,
                m.logged_models.c.lifecycle_stage == "active",
            )
            .order_by(m.inputs.c.step.desc(), m.logged_models.c.creation_timestamp_ms.desc())
            .limit(1)
        )
        return made

    def stretches(self, environment: str, model: str, stage: str, digest: str) -> Sequence[Stretch]:
        h = t.transitions.c
        until = sa.func.lead(h.at).over(order_by=h.revision).label("until")
        all_of_them = (
            sa.select(h.digest, h.at, until, h.revision)
            .where(h.environment == environment, h.model == model, h.stage == stage)
            .subquery()
        )
        rows = self._connection.execute(
            sa.select(all_of_them).where(all_of_them.c.digest == digest).order_by(all_of_them.c.revision)
        )
        return joined([(row.at, row.until) for row in rows])


def _by_code_point(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.collate(column, "C")
