"""The central experiments of an import in MLflow's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.layout import experiment_location
from service.domain.model import is_older
from service.domain.refusals import experiment_name_taken
from service.exports.records import ExperimentRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.plain import plain
from service.stores.tally import Tally
from service.stores.version_rows import upsert
from service.usecases.tracking_ports import TrackingBatch

RUNS_ASKED = 1000
"""Runs by which an experiment with another name is known again."""


def write_experiment(
    connection: sa.Connection, batch: TrackingBatch, record: ExperimentRecord, name: str, tally: Tally
) -> int:
    """The id of the central experiment, created when new.

    An experiment that this workspace brought before is found again whatever it is called by now, unless the caller
    names another one. Runs may come before their experiment's own file does (an export of a run or a model, or a
    broken one): their experiment then has a made-up name until an export names it. Raises Conflict for a name of
    someone else's.
    """
    rows = _Experiments(connection, batch)
    experiment_id = rows.named(name)
    if experiment_id is None and name == f"{batch.workspace}/{record.name}":
        experiment_id = rows.known(record) or rows.renamed(record, name)
    if experiment_id is None:
        experiment_id = rows.unnamed(record, name)
    created = experiment_id is None
    if experiment_id is None:
        experiment_id = rows.create(record, name)
        tally.created("experiments")
    else:
        rows.require_own(experiment_id, name)
    older = rows.is_older(experiment_id, record)
    rows.remember(experiment_id, record, older=older)
    changed = not older and rows.complete(experiment_id, record)
    changed = (not older and rows.tag(experiment_id, record)) or changed
    if not created:
        tally.kept("experiments", changed=changed)
    tally.experiment(record.experiment_id, experiment_id, rows.name_of(experiment_id))
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

    def known(self, record: ExperimentRecord) -> int | None:
        """The one experiment that came from this original, under whatever name."""
        k, e = t.experiments, m.experiments
        found = set(
            self._connection.scalars(
                sa.select(k.c.experiment_id)
                .join_from(k, e, e.c.experiment_id == k.c.experiment_id)
                .where(
                    k.c.workspace == self._batch.workspace,
                    k.c.original_id == record.experiment_id,
                    k.c.original_name == record.name if record.named else sa.true(),
                )
            )
        )
        return found.pop() if len(found) == 1 else None

    def unnamed(self, record: ExperimentRecord, name: str) -> int | None:
        """One that had a made-up name until now; it gets the name."""
        k = t.experiments
        found = {row.experiment_id for row in self._of_original(record) if record.named and not row.named}
        if len(found) != 1:
            return None
        experiment_id: int = found.pop()
        self._rename(experiment_id, name)
        self._connection.execute(sa.delete(k).where(k.c.experiment_id == experiment_id, ~k.c.named))
        return experiment_id

    def renamed(self, record: ExperimentRecord, name: str) -> int | None:
        """One whose runs say that it is the same; it gets the new name unless a caller chose the one it has."""
        here = self._of_runs(record) if record.named else set()
        known = {row.experiment_id: row for row in self._of_original(record) if row.named and row.experiment_id in here}
        if len(known) != 1:
            return None
        ((experiment_id, row),) = known.items()
        if self.name_of(experiment_id) == f"{self._batch.workspace}/{row.original_name}":
            self._rename(experiment_id, name)
        return cast(int, experiment_id)

    def _of_original(self, record: ExperimentRecord) -> Sequence[Any]:
        k = t.experiments
        return self._connection.execute(
            sa.select(k.c.experiment_id, k.c.original_name, k.c.named).where(
                k.c.workspace == self._batch.workspace, k.c.original_id == record.experiment_id
            )
        ).all()

    def _rename(self, experiment_id: int, name: str) -> None:
        e = m.experiments
        self._connection.execute(sa.update(e).where(e.c.experiment_id == experiment_id).values(name=name))

    def _of_runs(self, record: ExperimentRecord) -> set[int]:
        """Where the runs are that this workspace brought before."""
        runs = [run.run_id for run in self._batch.runs if run.experiment_id == record.experiment_id][:RUNS_ASKED]
        return set(
            self._connection.scalars(
                sa.select(m.runs.c.experiment_id)
                .distinct()
                .join_from(t.runs, m.runs, m.runs.c.run_uuid == t.runs.c.run_id)
                .where(t.runs.c.workspace == self._batch.workspace, t.runs.c.original_run_id.in_(runs))
            )
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
            raise experiment_name_taken(name)

    def _is_imported(self, experiment_id: int) -> bool:
        """Whether an import made it: its artifact location then names the workspace."""
        e = m.experiments
        location = self._connection.scalar(sa.select(e.c.artifact_location).where(e.c.experiment_id == experiment_id))
        return location == experiment_location(self._batch.workspace)

    def is_older(self, experiment_id: int, record: ExperimentRecord) -> bool:
        lineage = self._connection.scalar(
            sa.select(t.experiments.c.lineage).where(self._mapping(experiment_id, record)).limit(1)
        )
        return is_older(self._lineage(record), (lineage or {}).get("exported_at"))

    def _mapping(self, experiment_id: int, record: ExperimentRecord) -> sa.ColumnElement[bool]:
        k = t.experiments
        return (
            (k.c.workspace == self._batch.workspace)
            & (k.c.original_id == record.experiment_id)
            & (k.c.original_name == record.name)
            & (k.c.experiment_id == experiment_id)
        )

    def _lineage(self, record: ExperimentRecord) -> Mapping[str, Any]:
        return self._batch.experiment_lineage.get(record.experiment_id, {})

    def complete(self, experiment_id: int, record: ExperimentRecord) -> bool:
        """What the experiment's own file says takes the place of what was not known without it."""
        if not record.described:
            return False
        e = m.experiments
        wanted = {
            "creation_time": sa.func.coalesce(record.creation_time, e.c.creation_time),
            "last_update_time": sa.func.coalesce(record.last_update_time, e.c.last_update_time),
            "lifecycle_stage": record.lifecycle_stage,
        }
        differs = sa.or_(*(e.c[column].is_distinct_from(value) for column, value in wanted.items()))
        done = self._connection.execute(
            sa.update(e).where(e.c.experiment_id == experiment_id, differs).values(**wanted)
        )
        return bool(done.rowcount)

    def remember(self, experiment_id: int, record: ExperimentRecord, *, older: bool) -> None:
        lineage = self._lineage(record)
        if not record.described:
            lineage = {**lineage, "exported_at": None}  # it says nothing that an older export could set back
        statement = insert(t.experiments).values(
            workspace=self._batch.workspace,
            original_id=record.experiment_id,
            original_name=record.name,
            experiment_id=experiment_id,
            named=record.named,
            import_id=self._batch.import_id,
            lineage=plain(lineage),
        )
        if record.described and not older:
            self._connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["workspace", "original_id", "original_name", "experiment_id"],
                    set_={"lineage": statement.excluded.lineage},
                )
            )
        else:
            self._connection.execute(statement.on_conflict_do_nothing())

    def tag(self, experiment_id: int, record: ExperimentRecord) -> bool:
        rows = [{"key": key, "value": value, "experiment_id": experiment_id} for key, value in record.tags.items()]
        return bool(upsert(self._connection, m.experiment_tags, "value", rows, ["key", "experiment_id"]))
