"""The central experiments of an import in MLflow's tables."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import Conflict
from service.domain.layout import experiment_location
from service.exports.records import ExperimentRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.tally import Tally
from service.usecases.ports import TrackingBatch


def write_experiment(
    connection: sa.Connection, batch: TrackingBatch, record: ExperimentRecord, name: str, tally: Tally
) -> int:
    """The id of the central experiment, created when new.

    Runs may come before their experiment's own file does (an export of a run or a model, or a broken one): their
    experiment then has a made-up name until an export names it. Raises Conflict for a name of someone else's.
    """
    rows = _Experiments(connection, batch)
    experiment_id = rows.named(name)
    if experiment_id is None:
        experiment_id = rows.of_original(record)
        if experiment_id is not None and record.named:
            rows.rename(experiment_id, name)
    if experiment_id is None:
        experiment_id = rows.create(record, name)
        tally.created("experiments")
    else:
        rows.require_own(experiment_id, name)
        rows.complete(experiment_id, record)
        tally.skipped("experiments")
    rows.remember(experiment_id, record)
    rows.tag(experiment_id, record)
    tally.experiment(record.experiment_id, rows.name_of(experiment_id))
    return experiment_id


class _Experiments:
    def __init__(self, connection: sa.Connection, batch: TrackingBatch) -> None:
        self._connection = connection
        self._batch = batch

    def named(self, name: str) -> int | None:
        e = m.experiments
        return self._connection.scalar(
            sa.select(e.c.experiment_id).where(e.c.name == name, e.c.workspace == m.WORKSPACE)
        )

    def name_of(self, experiment_id: int) -> str:
        e = m.experiments
        return cast(str, self._connection.scalar(sa.select(e.c.name).where(e.c.experiment_id == experiment_id)))

    def of_original(self, record: ExperimentRecord) -> int | None:
        """The one experiment known by the original id: any for a record without a name, else only an unnamed one."""
        known = self._connection.execute(
            sa.select(t.experiments.c.experiment_id, t.experiments.c.named).where(
                t.experiments.c.workspace == self._batch.workspace,
                t.experiments.c.original_id == record.experiment_id,
            )
        ).all()
        fitting = {row.experiment_id for row in known if not row.named or not record.named}
        return fitting.pop() if len(fitting) == 1 else None

    def rename(self, experiment_id: int, name: str) -> None:
        e = m.experiments
        self._connection.execute(sa.update(e).where(e.c.experiment_id == experiment_id).values(name=name))
        self._connection.execute(
            sa.delete(t.experiments).where(t.experiments.c.experiment_id == experiment_id, ~t.experiments.c.named)
        )

    def create(self, record: ExperimentRecord, name: str) -> int:
        return cast(
            int,
            self._connection.scalar(
                sa.insert(m.experiments)
                .values(
                    name=name,
                    workspace=m.WORKSPACE,
                    artifact_location=experiment_location(self._batch.workspace),
                    lifecycle_stage=record.lifecycle_stage,
                    creation_time=record.creation_time,
                    last_update_time=record.last_update_time,
                )
                .returning(m.experiments.c.experiment_id)
            ),
        )

    def require_own(self, experiment_id: int, name: str) -> None:
        owners = self._connection.scalars(
            sa.select(t.experiments.c.workspace).where(t.experiments.c.experiment_id == experiment_id)
        )
        if not set(owners) <= {self._batch.workspace} or not self._is_imported(experiment_id):
            raise Conflict(
                f"The experiment name {name!r} is used by someone else; choose another with experiment_name.",
                field="experiment_name",
            )

    def _is_imported(self, experiment_id: int) -> bool:
        """Whether an import made it: its artifact location then names the workspace."""
        e = m.experiments
        location = self._connection.scalar(sa.select(e.c.artifact_location).where(e.c.experiment_id == experiment_id))
        return location == experiment_location(self._batch.workspace)

    def complete(self, experiment_id: int, record: ExperimentRecord) -> None:
        """What the experiment's own file says takes the place of what was not known without it."""
        if record.creation_time is not None:
            e = m.experiments
            self._connection.execute(
                sa.update(e)
                .where(e.c.experiment_id == experiment_id)
                .values(
                    creation_time=record.creation_time,
                    last_update_time=record.last_update_time,
                    lifecycle_stage=record.lifecycle_stage,
                )
            )

    def remember(self, experiment_id: int, record: ExperimentRecord) -> None:
        self._connection.execute(
            insert(t.experiments)
            .values(
                workspace=self._batch.workspace,
                original_id=record.experiment_id,
                original_name=record.name,
                experiment_id=experiment_id,
                named=record.named,
                import_id=self._batch.import_id,
            )
            .on_conflict_do_nothing()
        )

    def tag(self, experiment_id: int, record: ExperimentRecord) -> None:
        rows = [{"key": key, "value": value, "experiment_id": experiment_id} for key, value in record.tags.items()]
        if rows:
            statement = insert(cast(sa.Table, m.experiment_tags)).values(rows)
            self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["key", "experiment_id"], set_={"value": statement.excluded.value}
                )
            )
