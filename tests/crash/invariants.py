"""What has to hold whatever was killed, proved from nothing but Postgres and the bucket."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from service.domain.layout import ARCHIVES, PROXIED, artifact_prefix, version_prefix
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.objects import S3Objects

COUNTED = {
    "experiments": m.experiments,
    "runs": m.runs,
    "params": m.params,
    "tags": m.tags,
    "metrics": m.metrics,
    "latest_metrics": m.latest_metrics,
    "logged_models": m.logged_models,
    "versions": m.model_versions,
}
"""Kinds of an import's report, and the tables that hold what it created."""

OURS = (
    *(t.experiments, t.runs, t.logged_models, t.traces, t.evaluation_datasets, t.prompts, t.prompt_versions),
    *(t.manifests, t.models, t.versions, t.assignments, t.transitions),
)
_OF_THIS_IMPORT = {"import_id", "created_at", "assigned_at", "at", "comment"}
_MADE_UP = {"experiment_id", "dataset_uuid", "input_uuid", "source_id", "destination_id"}


def unsettled(engine: sa.Engine) -> list[str]:
    """What is wrong even while imports run: nothing of an open import is seen, and each of them has a job."""
    with engine.connect() as connection:
        return [
            *_each(connection, "open import without a job: {id}", _LOST),
            *_each(connection, "run of an import that is not done: {run_id}", _of_open("runs")),
            *_each(connection, "experiment of an import that is not done: {original_id}", _of_open("experiments")),
            *_each(connection, "logged model of an import that is not done: {model_id}", _of_open("logged_models")),
            *_each(connection, "version of an import that is not done: {model} {version}", _VERSIONS_OF_OPEN),
            *_each(connection, "run without an import: {run_uuid}", _RUNS_OF_NOBODY),
            *_each(connection, "report of an import that is not done: {id}", _REPORTS),
        ]


def violations(engine: sa.Engine, objects: S3Objects) -> list[str]:
    """What is wrong once every import is final and leftovers are collected; empty when all is well."""
    with engine.connect() as connection:
        return [
            *unsettled(engine),
            *_each(connection, "import left open: {id} {state}", _OPEN),
            *_each(connection, "import twice: {key}", _TWICE),
            *_each(connection, "job left: {id} {task_name} {status}", _JOBS),
            *_reports(connection),
            *_manifests(connection, objects),
            *_objects(connection, objects),
        ]


def contents(engine: sa.Engine, objects: S3Objects) -> dict[str, Counter[str]]:
    """Every row and object, for comparison; ids that are made up at each import stand as what they name."""
    with engine.connect() as connection:
        names = _names(connection)
        found = {
            table.name if table in m.ALL else f"our {table.name}": Counter(
                _plain(row._mapping, names) for row in connection.execute(sa.select(*table.columns))
            )
            for table in (*m.ALL, *OURS)
        }
    found["objects"] = Counter(f"{info.key} {info.size} {info.etag}" for info in objects.list(""))
    return found


_OPEN = "SELECT id, state FROM registry.imports WHERE state IN ('received', 'running')"
_LOST = (
    f"{_OPEN} AND NOT EXISTS (SELECT 1 FROM jobs.procrastinate_jobs WHERE args->>'import_id' = imports.id::text "
    "AND status IN ('todo', 'doing'))"
)
_TWICE = "SELECT key FROM registry.imports WHERE state = 'done' GROUP BY key HAVING count(*) > 1"
_JOBS = "SELECT id, task_name, status FROM jobs.procrastinate_jobs WHERE task_name = 'import'"
_RUNS_OF_NOBODY = (
    "SELECT run_uuid FROM public.runs WHERE NOT EXISTS (SELECT 1 FROM registry.runs WHERE run_id = run_uuid)"
)
_VERSIONS_OF_OPEN = (
    "SELECT model, version FROM registry.versions v JOIN registry.imports i ON i.id::text = v.lineage->>'import_id' "
    "WHERE i.state <> 'done'"
)
_REPORTS = "SELECT id FROM registry.imports WHERE (report IS NOT NULL) <> (state = 'done')"


def _of_open(table: str) -> str:
    return f"SELECT o.* FROM registry.{table} o JOIN registry.imports i ON i.id = o.import_id WHERE i.state <> 'done'"


def _each(connection: sa.Connection, message: str, query: str) -> Iterator[str]:
    # A colon is a parameter to the library, a cast to Postgres.
    for row in connection.execute(sa.text(query.replace("::", r"\:\:"))):
        yield message.format(**row._mapping)


def _reports(connection: sa.Connection) -> Iterator[str]:
    created: Counter[str] = Counter()
    for report in connection.scalars(sa.select(t.imports.c.report).where(t.imports.c.state == "done")):
        for kind, counts in report["counts"].items():
            if sum(counts[what] for what in ("created", "updated", "skipped", "failed")) != counts["found"]:
                yield f"counts of {kind} do not add up: {counts}"
            created[kind] += counts["created"]
    for kind, table in COUNTED.items():
        rows = connection.scalar(sa.select(sa.func.count()).select_from(table))
        if rows != created[kind]:
            yield f"{created[kind]} {kind} are reported as created, {rows} are there"


def _manifests(connection: sa.Connection, objects: S3Objects) -> Iterator[str]:
    for manifest in connection.execute(sa.select(t.manifests)):
        for file in manifest.files:
            with objects.open(version_prefix(manifest.digest) + file["path"]) as body:
                if hashlib.sha256(body.read()).hexdigest() != file["sha256"]:
                    yield f"wrong bytes: {manifest.digest} {file['path']}"


def _objects(connection: sa.Connection, objects: S3Objects) -> Iterator[str]:
    kept = {
        version_prefix(manifest.digest) + file["path"]
        for manifest in connection.execute(sa.select(t.manifests))
        for file in manifest.files
    }
    failed = sa.select(t.imports.c.id).where(t.imports.c.state == "failed")
    kept |= {f"{ARCHIVES}{import_id}/archive" for import_id in connection.scalars(failed)}
    roots = [
        *connection.scalars(sa.select(m.runs.c.artifact_uri)),
        *connection.scalars(sa.select(m.logged_models.c.artifact_location)),
    ]
    folders = {artifact_prefix(root) for root in roots}
    for info in objects.list(""):
        folder = info.key.partition("/artifacts/")[0] + "/artifacts"
        if info.key not in kept and not (info.key.startswith(PROXIED) and folder in folders):
            yield f"object that nothing refers to: {info.key}"


def _names(connection: sa.Connection) -> dict[str, str]:
    """For each id that is made up: what it stands for."""
    names = {
        str(row.experiment_id): row.name
        for row in connection.execute(sa.select(m.experiments.c.experiment_id, m.experiments.c.name))
    }
    for row in connection.execute(sa.select(m.datasets)):
        names[row.dataset_uuid] = f"{names[str(row.experiment_id)]}/{row.name}/{row.digest}"
    for row in connection.execute(sa.select(m.inputs)):
        ends = [names.get(end, end) for end in (row.source_id, row.destination_id)]
        names[row.input_uuid] = f"{row.source_type} {ends[0]} > {row.destination_type} {ends[1]}"
    return names


def _plain(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    values = {key: value for key, value in row.items() if key not in _OF_THIS_IMPORT}
    values |= {key: names.get(str(values[key]), values[key]) for key in _MADE_UP & values.keys()}
    if isinstance(values.get("lineage"), dict):
        values["lineage"] = {key: value for key, value in values["lineage"].items() if key != "import_id"}
    return json.dumps(values, sort_keys=True, default=str)
