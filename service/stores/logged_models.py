"""Logged models and their links to runs in MLflow's tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.domain.layout import artifact_uri, logged_model_path
from service.domain.model import is_older
from service.exports.records import LoggedModelRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.bulk import add_missing, chunked
from service.stores.plain import plain
from service.stores.run_spool import stored
from service.stores.tally import Tally
from service.stores.version_rows import upsert
from service.usecases.tracking_ports import CentralIds, IdsChanged, TrackingBatch

_STATUSES = {"PENDING": 1, "LOGGED_MODEL_PENDING": 1, "READY": 2, "LOGGED_MODEL_READY": 2, "FAILED": 3}


def write_logged_models(
    connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, experiment_ids: Mapping[str, int], tally: Tally
) -> None:
    """Models this workspace brought before get what is new or changed in a later export."""
    known = {
        row.model_id: (row.experiment_id, row.lineage.get("exported_at"))
        for row in connection.execute(
            sa.select(t.logged_models.c.model_id, t.logged_models.c.lineage, m.logged_models.c.experiment_id)
            .join_from(t.logged_models, m.logged_models, m.logged_models.c.model_id == t.logged_models.c.model_id)
            .where(t.logged_models.c.workspace == batch.workspace)
        )
    }
    for model in sorted(batch.logged_models, key=lambda record: ids.logged_model(record.model_id)):
        model_id = ids.logged_model(model.model_id)
        lineage = plain(batch.logged_model_lineage.get(model.model_id, {}))
        # A model that is here already may be in another experiment than this export has it in.
        experiment_id = known[model_id][0] if model_id in known else experiment_ids[model.experiment_id]
        writer = _Writer(connection, ids, model, model_id, experiment_id)
        if model_id not in known:
            try:
                writer.insert(batch, lineage)
            except sa.exc.IntegrityError as error:
                raise IdsChanged from error
            writer.merge(tally)
            tally.created("logged_models")
        elif is_older(lineage, known[model_id][1]):
            tally.skipped("logged_models")
        else:
            updated = writer.update(lineage)
            tally.kept("logged_models", changed=writer.merge(tally) or updated)


@dataclass(frozen=True)
class _Writer:
    connection: sa.Connection
    ids: CentralIds
    model: LoggedModelRecord
    model_id: str
    experiment_id: int

    def insert(self, batch: TrackingBatch, lineage: Mapping[str, Any]) -> None:
        model = self.model
        self.connection.execute(
            sa.insert(m.logged_models).values(
                model_id=self.model_id,
                experiment_id=self.experiment_id,
                name=model.name,
                artifact_location=artifact_uri(logged_model_path(batch.workspace, self.model_id)),
                creation_timestamp_ms=model.creation_time or 0,
                last_updated_timestamp_ms=model.last_updated_time or model.creation_time or 0,
                status=_STATUSES.get(model.status, 0),
                lifecycle_stage="active",
                model_type=model.model_type,
                source_run_id=self.ids.run(model.source_run_id) if model.source_run_id else None,
                status_message=model.status_message or None,
            )
        )
        self.connection.execute(
            sa.insert(t.logged_models).values(
                workspace=batch.workspace,
                original_model_id=model.model_id,
                model_id=self.model_id,
                import_id=batch.import_id,
                lineage=lineage,
            )
        )

    def update(self, lineage: Mapping[str, Any]) -> bool:
        g = m.logged_models
        own = t.logged_models
        self.connection.execute(sa.update(own).where(own.c.model_id == self.model_id).values(lineage=lineage))
        wanted = {
            "status": _STATUSES.get(self.model.status, 0),
            "status_message": self.model.status_message or None,
            "last_updated_timestamp_ms": sa.func.greatest(g.c.last_updated_timestamp_ms, self.model.last_updated_time),
        }
        differs = sa.or_(*(g.c[column].is_distinct_from(value) for column, value in wanted.items()))
        done = self.connection.execute(sa.update(g).where(g.c.model_id == self.model_id, differs).values(**wanted))
        return bool(done.rowcount)

    def merge(self, tally: Tally) -> bool:
        """Tags, params and metrics; true when any was new or changed."""
        tags = self._pairs(m.logged_model_tags, "tag_key", "tag_value", self.model.tags)
        params = self._pairs(m.logged_model_params, "param_key", "param_value", self.model.params)
        metrics = add_missing(self.connection, m.logged_model_metrics, list(self._metrics(tally)))
        return bool(tags or params or metrics)

    def _pairs(self, table: sa.TableClause, key: str, value: str, items: Mapping[str, str]) -> int:
        rows = [
            {"model_id": self.model_id, "experiment_id": self.experiment_id, key: name, value: text}
            for name, text in items.items()
        ]
        return upsert(self.connection, table, value, rows, ["model_id", key])

    def _metrics(self, tally: Tally) -> Iterator[dict[str, Any]]:
        ids, model = self.ids, self.model
        run_ids = sorted({ids.run(metric.run_id) for metric in model.metrics if metric.run_id})
        # A metric belongs to a run by a foreign key; runs that are not here cannot have it.
        here: set[str] = set()
        for chunk in chunked(run_ids):
            here.update(self.connection.scalars(sa.select(m.runs.c.run_uuid).where(m.runs.c.run_uuid.in_(chunk))))
        for metric in model.metrics:
            run_id = ids.run(metric.run_id) if metric.run_id else ""
            if run_id not in here:
                reason = f"its run {metric.run_id[:40]} is not in the export and was not imported before"
                tally.failed("logged_model_metric", f"{model.model_id}/{metric.key}", reason)
                continue
            yield {
                "model_id": self.model_id,
                "metric_name": metric.key,
                "metric_timestamp_ms": metric.timestamp,
                "metric_step": metric.step,
                "metric_value": stored(metric.value),
                "experiment_id": self.experiment_id,
                "run_id": run_id,
                "dataset_uuid": None,
                # One without the other is what MLflow's client cannot read.
                "dataset_name": metric.dataset_name if metric.dataset_digest else None,
                "dataset_digest": metric.dataset_digest if metric.dataset_name else None,
            }


def write_model_links(connection: sa.Connection, batch: TrackingBatch, ids: CentralIds) -> None:
    """Which logged models each run read and made."""
    rows = []
    for run in batch.runs:
        run_id = ids.run(run.run_id)
        links = [("RUN_INPUT", "MODEL_INPUT", model, 0) for model in run.model_inputs]
        links += [("RUN_OUTPUT", "MODEL_OUTPUT", model, step) for model, step in run.model_outputs]
        rows += [
            {
                "input_uuid": uuid.uuid4().hex,
                "source_type": source,
                "source_id": run_id,
                "destination_type": destination,
                "destination_id": ids.logged_model(model),
                "step": step,
            }
            for source, destination, model, step in links
        ]
    add_missing(connection, m.inputs, rows)
