"""Evaluation datasets of an import in MLflow's tables."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.exports.evaluation import DatasetRow, EvaluationDatasetRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.bulk import add_missing, chunked
from service.stores.central_ids import derived
from service.stores.tally import Tally
from service.stores.version_rows import upsert
from service.usecases.tracking_ports import CentralIds, IdsChanged, TrackingBatch

_WRAPPED = "mlflow_wrapped"
"""The key under which MLflow keeps a record's outputs, so that they may be anything."""


def write_evaluation_datasets(
    connection: sa.Connection, batch: TrackingBatch, ids: CentralIds, experiment_ids: Mapping[str, int], tally: Tally
) -> None:
    """A dataset this workspace brought before gets what is new or changed: fields, tags, records, experiments."""
    known = set(
        connection.scalars(
            sa.select(t.evaluation_datasets.c.dataset_id).where(t.evaluation_datasets.c.workspace == batch.workspace)
        )
    )
    for record in sorted(batch.evaluation_datasets, key=lambda record: ids.evaluation_dataset(record.dataset_id)):
        dataset = _Dataset(connection, batch, ids.evaluation_dataset(record.dataset_id), record)
        if dataset.dataset_id in known:
            changed = dataset.update()
        else:
            dataset.create()
            changed = False
        changed |= dataset.tag()
        changed |= dataset.rows(tally)
        changed |= dataset.associate(experiment_ids)
        if dataset.dataset_id not in known:
            tally.created("evaluation_datasets")
        else:
            (tally.updated if changed else tally.skipped)("evaluation_datasets")


class _Dataset:
    def __init__(
        self, connection: sa.Connection, batch: TrackingBatch, dataset_id: str, record: EvaluationDatasetRecord
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._record = record
        self.dataset_id = dataset_id

    def _values(self) -> dict[str, Any]:
        record = self._record
        return {
            "name": record.name,
            "schema": record.schema,
            "profile": record.profile,
            "digest": record.digest,
            "created_time": record.creation_time,
            "last_update_time": record.last_update_time,
            "created_by": record.created_by,
            "last_updated_by": record.last_updated_by,
        }

    def create(self) -> None:
        tool = self._record.tool
        lineage = {
            "tool_version": tool.package_version,
            "mlflow_version": tool.mlflow_version,
            "tracking_uri": tool.tracking_uri,
            **({"unknown": self._record.unknown} if self._record.unknown else {}),
        }
        try:
            self._connection.execute(
                sa.insert(m.evaluation_datasets).values(
                    dataset_id=self.dataset_id, workspace=m.WORKSPACE, **self._values()
                )
            )
            self._connection.execute(
                sa.insert(t.evaluation_datasets).values(
                    workspace=self._batch.workspace,
                    original_dataset_id=self._record.dataset_id,
                    dataset_id=self.dataset_id,
                    lineage=lineage,
                    import_id=self._batch.import_id,
                )
            )
        except sa.exc.IntegrityError as error:
            raise IdsChanged from error

    def update(self) -> bool:
        e = m.evaluation_datasets
        values = self._values()
        differs = sa.or_(*(e.c[column].is_distinct_from(value) for column, value in values.items()))
        done = self._connection.execute(sa.update(e).where(e.c.dataset_id == self.dataset_id, differs).values(**values))
        return bool(done.rowcount)

    def tag(self) -> bool:
        table = m.evaluation_dataset_tags
        rows = [{"dataset_id": self.dataset_id, "key": key, "value": value} for key, value in self._record.tags.items()]
        return bool(upsert(self._connection, table, "value", rows, ["dataset_id", "key"]))

    def rows(self, tally: Tally) -> bool:
        """Records are known by their inputs, as MLflow knows them; false when all were there as they are."""
        unique = {row.input_hash: row for row in self._record.rows}
        taken = self._taken()
        created = changed = 0
        for chunk in chunked([unique[input_hash] for input_hash in sorted(unique)], 500):
            try:
                done = self._connection.execute(_statement([self._row(row, taken) for row in chunk])).all()
            except sa.exc.IntegrityError as error:
                raise IdsChanged from error
            created += sum(row.created for row in done)
            changed += len(done)
        tally.created("evaluation_records", created)
        tally.updated("evaluation_records", changed - created)
        tally.skipped("evaluation_records", len(self._record.rows) - changed)
        return bool(changed)

    def _taken(self) -> set[str]:
        """Ids that other records have, of this or another dataset."""
        r = m.evaluation_dataset_records
        hashes = {row.record_id: row.input_hash for row in self._record.rows}
        taken: set[str] = set()
        for chunk in chunked(list(hashes)):
            found = self._connection.execute(
                sa.select(r.c.dataset_record_id, r.c.dataset_id, r.c.input_hash).where(r.c.dataset_record_id.in_(chunk))
            )
            taken.update(
                row.dataset_record_id
                for row in found
                if (row.dataset_id, row.input_hash) != (self.dataset_id, hashes[row.dataset_record_id])
            )
        return taken

    def _row(self, row: DatasetRow, taken: set[str]) -> dict[str, Any]:
        another = f"{self._record.dataset_id}\n{row.record_id}\n{row.input_hash}"
        return {
            "dataset_record_id": "dr-" + derived(self._batch.workspace, another)
            if row.record_id in taken
            else row.record_id,
            "dataset_id": self.dataset_id,
            "inputs": row.inputs,
            "outputs": None if row.outputs is None else f'{{"{_WRAPPED}": {row.outputs}}}',
            "expectations": row.expectations,
            "tags": row.tags,
            "source": row.source,
            "source_id": row.source_id,
            "source_type": row.source_type,
            "created_time": row.creation_time,
            "last_update_time": row.last_update_time,
            "created_by": row.created_by,
            "last_updated_by": row.last_updated_by,
            "input_hash": row.input_hash,
        }

    def associate(self, experiment_ids: Mapping[str, int]) -> bool:
        rows = [
            {
                "association_id": uuid.uuid4().hex,
                "source_type": "evaluation_dataset",
                "source_id": self.dataset_id,
                "destination_type": "experiment",
                "destination_id": str(experiment_ids[experiment_id]),
                "created_time": self._record.creation_time,
            }
            for experiment_id in self._record.experiment_ids
        ]
        return add_missing(self._connection, m.entity_associations, rows) > 0


def _statement(rows: list[dict[str, Any]]) -> Any:
    r = m.evaluation_dataset_records
    statement = insert(cast(sa.Table, r)).values(rows)
    fixed = ("dataset_record_id", "dataset_id", "inputs", "input_hash")
    new = {name: statement.excluded[name] for name in rows[0] if name not in fixed}
    return statement.on_conflict_do_update(
        index_elements=["dataset_id", "input_hash"],
        set_=new,
        where=sa.or_(
            *(sa.cast(r.c[name], sa.Text).is_distinct_from(sa.cast(value, sa.Text)) for name, value in new.items())
        ),
    ).returning(sa.literal_column("xmax = 0").label("created"))
