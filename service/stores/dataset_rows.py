"""Dataset inputs of runs in MLflow's tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.exports.records import DatasetRecord
from service.stores import mlflow_tables as m
from service.stores.bulk import chunked
from service.stores.tally import Tally
from service.stores.version_rows import upsert
from service.usecases.tracking_ports import CentralIds, TrackingBatch


def write_datasets(connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, tally: Tally) -> None:
    """Each run's datasets, once for each experiment; of inputs that are there already only tags are changed."""
    experiment_ids = _experiments_of(connection, [ids.run(run.run_id) for run in batch.runs if run.datasets])
    uuids: dict[tuple[int, str, str], str] = {}
    for run in batch.runs:
        for dataset in run.datasets:
            key = (experiment_ids[ids.run(run.run_id)], dataset.name, dataset.digest)
            if key not in uuids:
                uuids[key] = _dataset(connection, key[0], dataset)
            input_uuid = _input(connection, ids.run(run.run_id), uuids[key])
            known = input_uuid is None
            if input_uuid is None:
                input_uuid = _known(connection, ids.run(run.run_id), uuids[key])
            rows = [{"input_uuid": input_uuid, "name": name, "value": value} for name, value in dataset.tags.items()]
            changed = upsert(connection, m.input_tags, "value", rows, ["input_uuid", "name"])
            if known:
                tally.kept("dataset_inputs", changed=bool(changed))
            else:
                tally.created("dataset_inputs")


def _experiments_of(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Where the runs are now, which for runs that were here before may not be where this export has them."""
    found: dict[str, int] = {}
    for chunk in chunked(run_ids):
        rows = connection.execute(
            sa.select(m.runs.c.run_uuid, m.runs.c.experiment_id).where(m.runs.c.run_uuid.in_(chunk))
        )
        found.update((row.run_uuid, row.experiment_id) for row in rows)
    return found


def _dataset(connection: sa.Connection, experiment_id: int, dataset: DatasetRecord) -> str:
    d = m.datasets
    found: str | None = connection.scalar(
        sa.select(d.c.dataset_uuid).where(
            d.c.experiment_id == experiment_id, d.c.name == dataset.name, d.c.digest == dataset.digest
        )
    )
    if found is not None:
        return found
    dataset_uuid = uuid.uuid4().hex
    connection.execute(
        sa.insert(d).values(
            dataset_uuid=dataset_uuid,
            experiment_id=experiment_id,
            name=dataset.name,
            digest=dataset.digest,
            dataset_source_type=dataset.source_type,
            dataset_source=dataset.source,
            dataset_schema=dataset.schema,
            dataset_profile=dataset.profile,
        )
    )
    return dataset_uuid


def _input(connection: sa.Connection, run_id: str, dataset_uuid: str) -> str | None:
    """None when the run has it already."""
    created: str | None = connection.scalar(
        insert(cast(sa.Table, m.inputs))
        .values(
            input_uuid=uuid.uuid4().hex,
            source_type="DATASET",
            source_id=dataset_uuid,
            destination_type="RUN",
            destination_id=run_id,
            step=0,
        )
        .on_conflict_do_nothing()
        .returning(m.inputs.c.input_uuid)
    )
    return created


def _known(connection: sa.Connection, run_id: str, dataset_uuid: str) -> str:
    i = m.inputs
    return cast(
        str,
        connection.scalar(
            sa.select(i.c.input_uuid).where(
                i.c.source_type == "DATASET",
                i.c.source_id == dataset_uuid,
                i.c.destination_type == "RUN",
                i.c.destination_id == run_id,
            )
        ),
    )
