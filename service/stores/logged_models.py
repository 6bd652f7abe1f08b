"""Logged models and their links to runs in MLflow's tables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.layout import artifact_uri, logged_model_path
from service.exports.records import LoggedModelRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.run_spool import stored
from service.stores.tally import Tally
from service.usecases.ports import CentralIds, IdsChanged, TrackingBatch

_STATUSES = {"PENDING": 1, "LOGGED_MODEL_PENDING": 1, "READY": 2, "LOGGED_MODEL_READY": 2, "FAILED": 3}


def write_logged_models(
    connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, experiment_ids: Mapping[str, int], tally: Tally
) -> None:
    """Models this workspace brought before only get the tags that are new or changed."""
    known = set(
        connection.scalars(sa.select(t.logged_models.c.model_id).where(t.logged_models.c.workspace == batch.workspace))
    )
    for model in sorted(batch.logged_models, key=lambda record: ids.logged_model(record.model_id)):
        model_id = ids.logged_model(model.model_id)
        experiment_id = experiment_ids[model.experiment_id]
        if model_id in known:
            tally.skipped("logged_models")
        else:
            try:
                _insert(connection, batch, ids, model, experiment_id)
            except sa.exc.IntegrityError as error:
                raise IdsChanged from error
            tally.created("logged_models")
        _merge(connection, m.logged_model_tags, "tag_key", "tag_value", model_id, experiment_id, model.tags)


def _insert(
    connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, model: LoggedModelRecord, experiment_id: int
) -> None:
    model_id = ids.logged_model(model.model_id)
    connection.execute(
        sa.insert(m.logged_models).values(
            model_id=model_id,
            experiment_id=experiment_id,
            name=model.name,
            artifact_location=artifact_uri(logged_model_path(batch.workspace, model_id)),
            creation_timestamp_ms=model.creation_time or 0,
            last_updated_timestamp_ms=model.last_updated_time or model.creation_time or 0,
            status=_STATUSES.get(model.status, 0),
            lifecycle_stage="active",
            model_type=model.model_type,
            source_run_id=ids.run(model.source_run_id) if model.source_run_id else None,
            status_message=model.status_message or None,
        )
    )
    connection.execute(
        sa.insert(t.logged_models).values(
            workspace=batch.workspace,
            original_model_id=model.model_id,
            model_id=model_id,
            import_id=batch.import_id,
        )
    )
    _merge(connection, m.logged_model_params, "param_key", "param_value", model_id, experiment_id, model.params)
    rows = list(_metrics(connection, ids, model, model_id, experiment_id))
    if rows:
        connection.execute(insert(cast(sa.Table, m.logged_model_metrics)).values(rows).on_conflict_do_nothing())


def _metrics(
    connection: sa.Connection, ids: CentralIds, model: LoggedModelRecord, model_id: str, experiment_id: int
) -> Iterator[dict[str, Any]]:
    run_ids = {ids.run(metric.run_id) for metric in model.metrics if metric.run_id}
    # A metric belongs to a run by a foreign key; runs that are not here cannot have it.
    here = set(connection.scalars(sa.select(m.runs.c.run_uuid).where(m.runs.c.run_uuid.in_(run_ids))))
    for metric in model.metrics:
        run_id = ids.run(metric.run_id) if metric.run_id else ""
        if run_id in here:
            yield {
                "model_id": model_id,
                "metric_name": metric.key,
                "metric_timestamp_ms": metric.timestamp,
                "metric_step": metric.step,
                "metric_value": stored(metric.value),
                "experiment_id": experiment_id,
                "run_id": run_id,
                "dataset_uuid": None,
                "dataset_name": metric.dataset_name,
                "dataset_digest": metric.dataset_digest,
            }


def _merge(
    connection: sa.Connection,
    table: sa.TableClause,
    key: str,
    value: str,
    model_id: str,
    experiment_id: int,
    items: Mapping[str, str],
) -> None:
    rows = [
        {"model_id": model_id, "experiment_id": experiment_id, key: name, value: text} for name, text in items.items()
    ]
    if rows:
        statement = insert(cast(sa.Table, table)).values(rows)
        connection.execute(
            statement.on_conflict_do_update(index_elements=["model_id", key], set_={value: statement.excluded[value]})
        )


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
    if rows:
        connection.execute(insert(cast(sa.Table, m.inputs)).values(rows).on_conflict_do_nothing())
