"""Read an imported export back through MLflow's own client and list every difference."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from mlflow import MlflowClient

from service.compare_files import ProxiedFiles
from service.domain.layout import version_uri
from service.exports.archive import read_members
from service.exports.records import ExperimentRecord, LoggedModelRecord, MetricPoint, RegisteredModelRecord, RunRecord
from service.exports.survey import ArtifactFile, Survey, survey
from service.exports.versions import version_files

LARGEST = 1.7976931348623157e308
"""As which MLflow's database stores hold infinities."""


@dataclass(frozen=True)
class Difference:
    """`where` names the object and field; `expected` is the export's, `found` is what the client read."""

    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.where}: the export says {self.expected!r}, the registry {self.found!r}"


class NotImportedError(Exception):
    """The registry knows no finished import of that archive in that workspace."""


def compare_import(archive: Path, workspace: str, url: str, token: str) -> list[Difference]:
    """`compare` with the archive's own import, found by the archive's digest.

    Raises:
        NotImportedError: there is none.
    """
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    os.environ["MLFLOW_TRACKING_TOKEN"] = token  # where MLflow's client looks for it
    with archive.open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    place = f"{url}/v1/workspaces/{workspace}"
    with session:
        answer = session.get(f"{place}/imports", params={"limit": "500"}, timeout=60)
        rows = answer.json().get("imports", []) if answer.ok else []
        done = [row for row in rows if row["archive_digest"] == digest and row["state"] == "done"]
        if not done:
            raise NotImportedError(f"{archive.name} was not imported for workspace {workspace!r} at {url}.")

        def run_id_of(original: str) -> str:
            run = session.get(f"{place}/runs/{original}", timeout=60)
            run.raise_for_status()
            return str(run.json()["run_id"])

        return compare(archive, url, token, done[0]["report"], run_id_of)


def compare(
    archive: Path, url: str, token: str, report: Mapping[str, Any], run_id_of: Callable[[str], str]
) -> list[Difference]:
    """Compare `archive` with what the registry at `url` answers.

    Args:
        token: that may read it; MLflow's client takes its own from MLFLOW_TRACKING_TOKEN.
        report: of the import, which names experiments and versions.
        run_id_of: the id here of a run's original id.
    """
    runs: dict[str, RunRecord] = {}
    with archive.open("rb") as file:
        found = survey(read_members(file, archive.stat().st_size), lambda run: runs.__setitem__(run.run_id, run))
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    comparison = _Comparison(client, ProxiedFiles(url, token), found, runs, report, run_id_of)
    return list(comparison.all())


@dataclass(frozen=True)
class _Comparison:
    client: MlflowClient
    files: ProxiedFiles
    found: Survey
    runs: Mapping[str, RunRecord]
    report: Mapping[str, Any]
    run_id_of: Callable[[str], str]

    def all(self) -> Iterator[Difference]:
        for experiment in self.found.experiments.values():
            yield from self._experiment(experiment)
        for run in self.runs.values():
            yield from self._run(run)
        for model in self.found.logged_models.values():
            yield from self._logged_model(model)
        for registered in self.found.models.values():
            yield from self._registered(registered)

    def _experiment(self, record: ExperimentRecord) -> Iterator[Difference]:
        name = next(row["name"] for row in self.report["experiments"] if row["original_id"] == record.experiment_id)
        got = self.client.get_experiment_by_name(name)
        where = f"experiment {record.name}"
        yield from _fields(
            where,
            {
                "lifecycle_stage": (record.lifecycle_stage, got.lifecycle_stage),
                "creation_time": (record.creation_time, got.creation_time),
                "last_update_time": (record.last_update_time, got.last_update_time),
                "tags": (dict(record.tags), dict(got.tags)),
            },
        )

    def _run(self, record: RunRecord) -> Iterator[Difference]:
        run_id = self.run_id_of(record.run_id)
        got = self.client.get_run(run_id)
        where = f"run {record.run_id}"
        yield from _fields(
            where,
            {
                "run_id": (record.run_id, run_id),
                "name": (record.name, got.info.run_name or ""),
                "user": (record.user, got.info.user_id or ""),
                "status": (record.status, got.info.status),
                "start_time": (record.start_time, got.info.start_time),
                "end_time": (record.end_time, got.info.end_time),
                "lifecycle_stage": (record.lifecycle_stage, got.info.lifecycle_stage),
                "params": (dict(record.params), dict(got.data.params)),
                "tags": (dict(record.tags), dict(got.data.tags)),
                "datasets": _shared(_expected_datasets(record), _found_datasets(got)),
                "model_inputs": _shared(record.model_inputs, _ids(got.inputs, "model_inputs")),
                "model_outputs": _shared(record.model_outputs, _outputs(got)),
            },
        )
        yield from self._metrics(record, run_id, got)
        files = self.found.artifacts.get(record.folder, [])
        yield from self._files(where, files, got.info.artifact_uri)

    def _metrics(self, record: RunRecord, run_id: str, got: Any) -> Iterator[Difference]:
        where = f"run {record.run_id}: metrics"
        histories = [history for history in record.metrics if history.values]
        keys = sorted(history.key for history in histories)
        yield from _fields(where, {"keys": (keys, sorted(got.data.metrics))})
        for history in histories:
            key = history.key
            expected = set(map(_comparable, history.points()))
            found = self.client.get_metric_history(run_id, key)
            read = {_comparable(MetricPoint(key, p.value, p.timestamp, p.step)) for p in found}
            if expected != read:
                yield Difference(f"{where}.{key}", sorted(map(str, expected - read)), sorted(map(str, read - expected)))

    def _logged_model(self, record: LoggedModelRecord) -> Iterator[Difference]:
        got = self.client.get_logged_model(record.model_id)
        where = f"logged model {record.model_id}"
        yield from _fields(
            where,
            {
                "name": (record.name, got.name),
                "source_run_id": (record.source_run_id, got.source_run_id or ""),
                "status": (record.status, str(got.status.value)),
                "model_type": (record.model_type, got.model_type or ""),
                "creation_time": (record.creation_time, got.creation_timestamp),
                "last_updated_time": (record.last_updated_time, got.last_updated_timestamp),
                "tags": (dict(record.tags), dict(got.tags)),
                "params": (dict(record.params), dict(got.params)),
                "metrics": (
                    sorted((m.key, m.value, m.timestamp, m.step, m.run_id) for m in record.metrics),
                    sorted((m.key, m.value, m.timestamp, m.step, m.run_id) for m in got.metrics or ()),
                ),
            },
        )
        yield from self._files(where, self.found.artifacts.get(record.folder, []), got.artifact_location)

    def _registered(self, record: RegisteredModelRecord) -> Iterator[Difference]:
        rows = {row["original_version"]: row for row in self.report["versions"] if row["original_model"] == record.name}
        if not rows:
            return
        name = next(iter(rows.values()))["model"]
        got = self.client.get_registered_model(name)
        where = f"model {record.name}"
        kept = {alias: version for alias, version in record.aliases.items() if str(version) in rows}
        yield from _fields(
            where,
            {
                "description": (record.description, got.description or ""),
                "tags": (dict(record.tags), dict(got.tags)),
                "aliases": (kept, {alias: int(version) for alias, version in got.aliases.items() if alias in kept}),
                "creation_time": (record.creation_time, got.creation_timestamp),
                "last_updated_time": (record.last_updated_time, got.last_updated_timestamp),
            },
        )
        for version in record.versions:
            if str(version.version) in rows:
                row = rows[str(version.version)]
                read = self.client.get_model_version(name, str(row["version"]))
                yield from _fields(
                    f"{where}, version {version.version}",
                    {
                        "number": (version.version, int(read.version)),
                        "run_id": (version.run_id if version.run_id in self.runs else "", read.run_id or ""),
                        "description": (version.description, read.description or ""),
                        "tags": (dict(version.tags), dict(read.tags)),
                        "creation_time": (version.creation_time, read.creation_timestamp),
                        "last_updated_time": (version.last_updated_time, read.last_updated_timestamp),
                        "user": (version.user, read.user_id or ""),
                        "status": (version.status, read.status),
                        "source": (version_uri(row["digest"]), read.source),
                    },
                )
                files = version_files(self.found, version).files
                yield from self._files(f"{where}, version {version.version}", files, read.source)

    def _files(self, where: str, files: list[ArtifactFile], uri: str) -> Iterator[Difference]:
        if files:
            expected = {file.path: file.sha256 for file in files}
            yield from _fields(where, {"artifacts": (expected, self.files.digests(uri))})


def _fields(where: str, pairs: Mapping[str, tuple[object, object]]) -> Iterator[Difference]:
    for name, (expected, found) in pairs.items():
        if expected != found:
            yield Difference(f"{where}: {name}", expected, found)


def _shared(expected: Sequence[Any], found: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Dialects differ in what of a run's inputs they hold: another export of the same run may have brought more."""
    return sorted(expected), sorted(row for row in found if row in expected)


def _comparable(point: MetricPoint) -> tuple[object, ...]:
    value: object = point.value
    if math.isnan(point.value):
        value = "NaN"
    elif math.isinf(point.value):
        value = math.copysign(LARGEST, point.value)
    return point.key, value, point.timestamp, point.step


def _expected_datasets(record: RunRecord) -> list[tuple[object, ...]]:
    return sorted(
        (d.name, d.digest, d.source_type, d.source, d.schema, d.profile, tuple(sorted(d.tags.items())))
        for d in record.datasets
    )


def _found_datasets(got: Any) -> list[tuple[object, ...]]:
    return sorted(
        (
            d.dataset.name,
            d.dataset.digest,
            d.dataset.source_type,
            d.dataset.source,
            d.dataset.schema,
            d.dataset.profile,
            tuple(sorted((tag.key, tag.value) for tag in d.tags)),
        )
        for d in (got.inputs.dataset_inputs if got.inputs else ())
    )


def _ids(holder: Any, name: str) -> list[str]:
    return [item.model_id for item in getattr(holder, name, None) or ()]


def _outputs(got: Any) -> list[tuple[str, int]]:
    return [(item.model_id, item.step) for item in (got.outputs.model_outputs if got.outputs else ())]
