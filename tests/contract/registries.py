"""The registry on Postgres with the methods by which a test puts in what other parts write, as memory has them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import sqlalchemy as sa

from service.domain.history import ChangeKind, Transition
from service.domain.layout import folder_of, logged_model_of
from service.domain.policy_facts import Evaluation
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.postgres import PostgresRegistry
from service.stores.queue import JobQueue
from service.stores.run_spool import stored
from service.usecases.model_ports import Origin, RunInfo
from service.usecases.ports import RegistryStore


class Registry(RegistryStore, Protocol):
    """What `MemoryRegistry` offers beyond the port."""

    def add_run(self, run: RunInfo, original_run_id: str = "") -> None: ...

    def add_logged_model(self, run_id: str, name: str, uri: str) -> None: ...

    def add_measurements(self, run_id: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> None: ...

    def add_evaluations(self, run_id: str, name: str, evaluations: Iterable[Evaluation]) -> None: ...

    def add_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None: ...

    def add_trace(self, trace_id: str) -> None: ...

    def add_experiment(self, name: str, workspaces: Iterable[str] = ()) -> None: ...

    def add_experiment_origin(self, origin: Origin) -> None: ...

    def add_logged_model_origin(self, origin: Origin) -> None: ...

    def add_mlflow_model(self, name: str, versions: Iterable[int] = ()) -> None: ...

    def remove_version(self, model: str, version: int) -> None: ...

    def queued(self) -> Sequence[str]: ...

    def lose_jobs(self) -> None: ...

    def jobs(self) -> Sequence[tuple[str, str]]: ...

    def transitions(self) -> Sequence[Transition]: ...


class SeededPostgres(PostgresRegistry):
    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine, JobQueue())
        self._seeds = engine
        self._step = 0

    def add_run(self, run: RunInfo, original_run_id: str = "") -> None:
        known = sa.select(m.experiments.c.experiment_id).where(m.experiments.c.experiment_id == int(run.experiment_id))
        with self._seeds.begin() as connection:
            if connection.scalar(known) is None:
                _experiment(connection, f"experiment {run.experiment_id}", experiment_id=int(run.experiment_id))
            connection.execute(
                sa.insert(m.runs).values(
                    run_uuid=run.run_id,
                    experiment_id=int(run.experiment_id),
                    artifact_uri=run.artifact_uri,
                    user_id=run.lineage.get("user"),
                    start_time=run.lineage.get("run_start_time"),
                    end_time=run.lineage.get("run_end_time"),
                )
            )
            if run.workspace:
                connection.execute(
                    sa.insert(t.runs).values(
                        workspace=run.workspace,
                        original_run_id=original_run_id or run.run_id,
                        run_id=run.run_id,
                        lineage=dict(run.lineage),
                        import_id=_import(connection, run.workspace),
                    )
                )

    def add_logged_model(self, run_id: str, name: str, uri: str) -> None:
        model_id = logged_model_of(folder_of(uri) or "") or f"m-{uuid.uuid4().hex}"
        self._step += 1
        with self._seeds.begin() as connection:
            connection.execute(
                sa.insert(m.logged_models).values(
                    model_id=model_id,
                    experiment_id=sa.select(m.runs.c.experiment_id)
                    .where(m.runs.c.run_uuid == run_id)
                    .scalar_subquery(),
                    name=name,
                    artifact_location=uri,
                    creation_timestamp_ms=self._step,
                    last_updated_timestamp_ms=self._step,
                    status=2,
                    lifecycle_stage="active",
                    source_run_id=run_id,
                )
            )
            connection.execute(
                sa.insert(m.inputs).values(
                    input_uuid=uuid.uuid4().hex,
                    source_type="RUN_OUTPUT",
                    source_id=run_id,
                    destination_type="MODEL_OUTPUT",
                    destination_id=model_id,
                    step=self._step,
                )
            )

    def add_measurements(self, run_id: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        with self._seeds.begin() as connection:
            for key, text in params.items():
                connection.execute(sa.insert(m.params).values(run_uuid=run_id, key=key, value=text))
            for key, value in metrics.items():
                connection.execute(
                    sa.insert(m.latest_metrics).values(
                        run_uuid=run_id, key=key, value=stored(value), timestamp=1, step=0, is_nan=math.isnan(value)
                    )
                )

    def add_evaluations(self, run_id: str, name: str, evaluations: Iterable[Evaluation]) -> None:
        """As MLflow writes them: NaN as 0, beside the run's own row that knows."""
        with self._seeds.begin() as connection:
            model = connection.execute(
                sa.select(m.logged_models.c.model_id, m.logged_models.c.experiment_id)
                .where(m.logged_models.c.name == name, m.logged_models.c.source_run_id == run_id)
                .order_by(m.logged_models.c.creation_timestamp_ms.desc())
                .limit(1)
            ).one()
            for moment, each in enumerate(evaluations):
                point = {"value": stored(each.value), "timestamp": moment, "step": 0, "is_nan": math.isnan(each.value)}
                connection.execute(sa.insert(m.metrics).values(run_uuid=run_id, key=each.metric, **point))
                connection.execute(
                    sa.insert(m.logged_model_metrics).values(
                        model_id=model.model_id,
                        metric_name=each.metric,
                        metric_timestamp_ms=moment,
                        metric_step=0,
                        metric_value=stored(each.value),
                        experiment_id=model.experiment_id,
                        run_id=run_id,
                        dataset_name=each.dataset or None,
                    )
                )

    def add_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        with self._seeds.begin() as connection:
            for key, text in tags.items():
                connection.execute(
                    sa.insert(m.model_version_tags).values(
                        workspace=m.WORKSPACE, name=model, version=version, key=key, value=text
                    )
                )

    def add_trace(self, trace_id: str) -> None:
        with self._seeds.begin() as connection:
            experiment_id = _experiment(connection, f"experiment of {trace_id}")
            row = {"request_id": trace_id, "experiment_id": experiment_id, "timestamp_ms": 1, "status": "OK"}
            connection.execute(sa.insert(m.trace_info).values(row))

    def add_experiment(self, name: str, workspaces: Iterable[str] = ()) -> None:
        with self._seeds.begin() as connection:
            experiment_id = _experiment(connection, name)
            for workspace in workspaces:
                connection.execute(
                    sa.insert(t.experiments).values(
                        workspace=workspace,
                        original_id="1",
                        original_name=name,
                        named=True,
                        experiment_id=experiment_id,
                        import_id=_import(connection, workspace),
                    )
                )

    def add_experiment_origin(self, origin: Origin) -> None:
        lineage = dict(origin.lineage)
        with self._seeds.begin() as connection:
            known = sa.select(m.experiments.c.name).where(m.experiments.c.experiment_id == int(origin.id))
            if connection.scalar(known) is None:
                _experiment(connection, origin.name, experiment_id=int(origin.id))
            connection.execute(
                sa.insert(t.experiments).values(
                    workspace=origin.workspace,
                    original_id=origin.original_id,
                    original_name=lineage.pop("original_name"),
                    named=True,
                    experiment_id=int(origin.id),
                    import_id=_import(connection, origin.workspace, origin.import_id),
                    lineage=lineage,
                )
            )

    def add_logged_model_origin(self, origin: Origin) -> None:
        with self._seeds.begin() as connection:
            connection.execute(
                sa.insert(m.logged_models).values(
                    model_id=origin.id,
                    experiment_id=_experiment(connection, f"of {origin.id}"),
                    name=origin.name,
                    artifact_location="",
                    creation_timestamp_ms=1,
                    last_updated_timestamp_ms=1,
                    status=2,
                    lifecycle_stage="active",
                )
            )
            connection.execute(
                sa.insert(t.logged_models).values(
                    workspace=origin.workspace,
                    original_model_id=origin.original_id,
                    model_id=origin.id,
                    import_id=_import(connection, origin.workspace, origin.import_id),
                    lineage=origin.lineage,
                )
            )

    def add_mlflow_model(self, name: str, versions: Iterable[int] = ()) -> None:
        with self._seeds.begin() as connection:
            connection.execute(sa.insert(m.registered_models).values(workspace=m.WORKSPACE, name=name))
            for version in versions:
                connection.execute(
                    sa.insert(m.model_versions).values(workspace=m.WORKSPACE, name=name, version=version)
                )

    def remove_version(self, model: str, version: int) -> None:
        here = (t.versions.c.model == model) & (t.versions.c.version == version)
        with self._seeds.begin() as connection:
            gone = {"deleted_at": datetime.now(UTC), "deleted_by": "test"}
            connection.execute(sa.update(t.versions).where(here).values(gone))

    def queued(self) -> Sequence[str]:
        with self._seeds.connect() as connection:
            jobs = "SELECT args->>'import_id' FROM jobs.procrastinate_jobs WHERE task_name = 'import' ORDER BY id"
            return list(connection.scalars(sa.text(jobs)))

    def jobs(self) -> Sequence[tuple[str, str]]:
        with self._seeds.connect() as connection:
            jobs = (
                "SELECT task_name, coalesce(args->>'webhook_id', '') FROM jobs.procrastinate_jobs "
                "WHERE task_name <> 'import' ORDER BY id"
            )
            return [(row[0], row[1]) for row in connection.execute(sa.text(jobs))]

    def lose_jobs(self) -> None:
        with self._seeds.begin() as connection:
            connection.execute(sa.text("SET LOCAL search_path TO jobs"))  # its triggers need it
            connection.execute(sa.text("DELETE FROM procrastinate_jobs"))

    def transitions(self) -> Sequence[Transition]:
        order = (t.transitions.c.at, t.transitions.c.revision)
        with self._seeds.connect() as connection:
            rows = connection.execute(sa.select(t.transitions).order_by(*order))
            return [Transition(**{**row._mapping, "kind": ChangeKind(row.kind)}) for row in rows]


def empty(engine: sa.Engine) -> None:
    """Delete every row that a test has left."""
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # in any order
        jobs: sa.TableClause = sa.table("procrastinate_jobs", schema="jobs")
        tables: list[sa.TableClause] = [*t.metadata.tables.values(), *m.ALL, jobs]
        connection.execute(sa.text("ALTER TABLE registry.audit DISABLE TRIGGER audit_append_only"))
        for table in tables:
            connection.execute(sa.delete(table))
        connection.execute(sa.text("ALTER TABLE registry.audit ENABLE ALWAYS TRIGGER audit_append_only"))


def _experiment(connection: sa.Connection, name: str, **values: int) -> int:
    statement = sa.insert(m.experiments).values(name=name, workspace=m.WORKSPACE, lifecycle_stage="active", **values)
    experiment_id: int = connection.execute(statement.returning(m.experiments.c.experiment_id)).scalar_one()
    return experiment_id


def _import(connection: sa.Connection, workspace: str, identifier: str = "") -> str:
    identifier = identifier or str(uuid.uuid4())
    connection.execute(
        sa.insert(t.imports).values(
            id=identifier,
            workspace=workspace,
            key=identifier,
            received_key=identifier,
            state="done",
            options={},
            archive_digest="",
            archive_size=0,
            created_by="test",
            created_at=datetime.now(UTC),
        )
    )
    return identifier
