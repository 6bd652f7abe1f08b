"""Experiments and all they hold of an import, written in bulk over MLflow's own tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from service.domain.layout import artifact_uri, run_path
from service.exports.records import RunRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.bulk import chunked, copy_table
from service.stores.central_ids import PostgresCentralIds
from service.stores.dataset_rows import write_datasets
from service.stores.evaluation_rows import write_evaluation_datasets
from service.stores.experiment_rows import write_experiment
from service.stores.logged_models import write_logged_models, write_model_links
from service.stores.plain import plain
from service.stores.postgres import PostgresTransaction, translated
from service.stores.queue import session_name
from service.stores.run_spool import FileRunSpool, file_run_spool
from service.stores.tally import Tally
from service.stores.trace_rows import write_traces
from service.usecases.ports import Transaction
from service.usecases.tracking_ports import CentralIds, IdsChanged, RunSpool, TrackingBatch, TrackingCounts

_SAID = ("user", "run_start_time", "run_end_time", "exported_at", "source", "notebook", "git_commit", "git_url")


class PostgresTracking:
    """Implements `service.usecases.tracking_ports.TrackingStore`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def ids(self, workspace: str) -> Iterator[CentralIds]:
        with translated():
            connection = self._engine.connect()
        with connection:
            yield PostgresCentralIds(connection.execution_options(isolation_level="AUTOCOMMIT"), workspace)

    def spool(self, ids: CentralIds) -> AbstractContextManager[RunSpool]:
        return file_run_spool(ids)

    def write(self, tx: Transaction, batch: TrackingBatch, spool: RunSpool, ids: CentralIds) -> TrackingCounts:
        connection = cast(PostgresTransaction, tx).connection
        with translated():
            return _Write(connection, batch, ids).all(cast(FileRunSpool, spool))


class _Write:
    """One batch in one transaction."""

    def __init__(self, connection: sa.Connection, batch: TrackingBatch, ids: CentralIds) -> None:
        self.connection = connection
        self.batch = batch
        self.ids = ids
        self.tally = Tally()

    def all(self, spool: FileRunSpool) -> TrackingCounts:
        self.connection.execute(
            sa.text("SELECT set_config('application_name', :name, true)"), {"name": session_name(self.batch.import_id)}
        )
        # Imports of one workspace take turns here, and only here: overlapping ones neither double nor deadlock.
        self.connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"tracking\n{self.batch.workspace}"},
        )
        experiment_ids = {
            record.experiment_id: write_experiment(self.connection, self.batch, record, name, self.tally)
            for record, name in self.batch.experiments
        }
        known = self._known_runs()
        self._note_older(known)
        self._runs(experiment_ids, known)
        changed = self._spooled(spool, known)
        write_datasets(self.connection, self.batch, self.ids, self.tally)
        write_logged_models(self.connection, self.batch, self.ids, experiment_ids, self.tally)
        write_model_links(self.connection, self.batch, self.ids)
        self._follow(known)
        write_traces(self.connection, self.batch, self.ids, experiment_ids, self.tally, spool)
        write_evaluation_datasets(self.connection, self.batch, self.ids, experiment_ids, self.tally)
        self._tally_runs(known, changed)
        return self.tally.counts()

    def _known_runs(self) -> frozenset[str]:
        """Central ids of the batch's runs that this workspace brought before."""
        known: set[str] = set()
        for chunk in chunked([run.run_id for run in self.batch.runs]):
            known.update(
                self.connection.scalars(
                    sa.select(t.runs.c.run_id).where(
                        t.runs.c.workspace == self.batch.workspace, t.runs.c.original_run_id.in_(chunk)
                    )
                )
            )
        return frozenset(known)

    def _note_older(self, known: frozenset[str]) -> None:
        """Runs of which a later export was taken in already: they get what they lack, and nothing is set back."""
        exported = {
            self.ids.run(run.run_id): run.tool.exported_at
            for run in self.batch.runs
            if run.tool.exported_at is not None
        }
        asked = sorted(known & exported.keys())
        self.older = {
            row.run_id
            for chunk in chunked(asked)
            for row in self.connection.execute(
                sa.select(t.runs.c.run_id, t.runs.c.lineage["exported_at"].label("exported_at")).where(
                    t.runs.c.run_id.in_(chunk)
                )
            )
            if row.exported_at is not None and row.exported_at > (exported[row.run_id] or 0)
        }
        self.connection.execute(sa.text("CREATE TEMP TABLE older (run_uuid text PRIMARY KEY) ON COMMIT DROP"))
        if self.older:
            rows = [{"run": run_id} for run_id in sorted(self.older)]
            self.connection.execute(sa.text("INSERT INTO older VALUES (:run)"), rows)

    def _follow(self, known: frozenset[str]) -> None:
        """Runs that came before their parent named it by the id it had there; it may have another one here."""
        if all(self.ids.run(run.run_id) in {run.run_id, *known} for run in self.batch.runs):
            return
        self.connection.execute(
            sa.text(
                "UPDATE public.tags SET value = parent.run_id FROM registry.runs AS child, registry.runs AS parent "
                "WHERE child.workspace = :workspace AND parent.workspace = :workspace "
                "AND tags.run_uuid = child.run_id AND tags.key IN ('mlflow.parentRunId', 'mlflow.rootRunId') "
                "AND parent.original_run_id = tags.value AND parent.run_id <> tags.value"
            ),
            {"workspace": self.batch.workspace},
        )

    def _runs(self, experiment_ids: Mapping[str, int], known: frozenset[str]) -> None:
        new = [run for run in self.batch.runs if self.ids.run(run.run_id) not in known]
        old = [run for run in self.batch.runs if self.ids.run(run.run_id) in known]
        # In the order of their ids, so that two imports that meet the same ids wait, and never deadlock.
        new.sort(key=lambda run: self.ids.run(run.run_id))
        for chunk in chunked(new):
            try:
                self.connection.execute(sa.insert(m.runs), [self._run(run, experiment_ids) for run in chunk])
                self.connection.execute(sa.insert(t.runs), [self._mapping(run) for run in chunk])
            except sa.exc.IntegrityError as error:
                raise IdsChanged from error
        self.updated_runs = {run_id for run in old if (run_id := self._update_run(run))}

    def _run(self, run: RunRecord, experiment_ids: Mapping[str, int]) -> dict[str, Any]:
        run_id = self.ids.run(run.run_id)
        source_type = run.tags.get("mlflow.source.type", "UNKNOWN")
        return {
            "run_uuid": run_id,
            "name": run.name,
            "source_type": source_type if source_type in ("NOTEBOOK", "JOB", "PROJECT", "LOCAL") else "UNKNOWN",
            "source_name": run.tags.get("mlflow.source.name", "")[:500],
            "entry_point_name": "",
            "user_id": run.user,
            "status": run.status,
            "start_time": run.start_time,
            "end_time": run.end_time,
            "deleted_time": run.end_time if run.lifecycle_stage == "deleted" else None,
            "source_version": run.tags.get("mlflow.source.git.commit", "")[:50],
            "lifecycle_stage": run.lifecycle_stage,
            "artifact_uri": artifact_uri(run_path(self.batch.workspace, run_id)),
            "experiment_id": experiment_ids[run.experiment_id],
        }

    def _mapping(self, run: RunRecord) -> dict[str, Any]:
        return {
            "workspace": self.batch.workspace,
            "original_run_id": run.run_id,
            "run_id": self.ids.run(run.run_id),
            "lineage": plain(self.batch.lineage[run.run_id]),
            "import_id": self.batch.import_id,
        }

    def _update_run(self, run: RunRecord) -> str | None:
        run_id = self.ids.run(run.run_id)
        if run_id in self.older:
            return None
        wanted = {
            "name": run.name,
            "user_id": run.user,
            "status": run.status,
            "start_time": run.start_time,
            "end_time": run.end_time,
            "lifecycle_stage": run.lifecycle_stage,
        }
        r = m.runs
        differs = sa.or_(*(r.c[column].is_distinct_from(value) for column, value in wanted.items()))
        deleted = run.end_time if run.lifecycle_stage == "deleted" else None
        done = self.connection.execute(
            sa.update(r).where(r.c.run_uuid == run_id, differs).values(**wanted, deleted_time=deleted)
        )
        self._update_lineage(run, run_id)
        return run_id if done.rowcount else None

    def _update_lineage(self, run: RunRecord, run_id: str) -> None:
        """What the source says now; the import that brought the run stays named."""
        lineage = plain(self.batch.lineage[run.run_id])
        said = {key: lineage[key] for key in _SAID if key in lineage}
        self.connection.execute(
            sa.update(t.runs)
            .where(t.runs.c.run_id == run_id)
            .values(lineage=t.runs.c.lineage.concat(sa.cast(said, JSONB)))
        )

    def _spooled(self, spool: FileRunSpool, known: frozenset[str]) -> set[str]:
        changed: set[str] = set()
        for table in spool.tables:
            copied = copy_table(self.connection, table, merge=bool(known))
            self.tally.created(table.table, copied.created)
            self.tally.updated(table.table, copied.updated)
            self.tally.skipped(table.table, table.rows - copied.created - copied.updated)
            changed.update(copied.runs)
        return changed | self.updated_runs

    def _tally_runs(self, known: frozenset[str], changed: set[str]) -> None:
        self.tally.created("runs", len(self.batch.runs) - len(known))
        self.tally.updated("runs", len(known & changed))
        self.tally.skipped("runs", len(known - changed))
