"""Read an imported export back through MLflow's own client and list every difference."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from service.compare_fields import Difference, differences
from service.compare_files import ProxiedFiles
from service.compare_values import (
    comparable,
    expected_datasets,
    found_datasets,
    model_ids,
    model_metric,
    model_outputs,
    rank,
    said,
    shared,
)
from service.domain.layout import version_uri
from service.exports.archive import read_members
from service.exports.records import (
    ExperimentRecord,
    LoggedModelRecord,
    MetricPoint,
    RegisteredModelRecord,
    RunRecord,
    VersionRecord,
)
from service.exports.survey import ArtifactFile, Survey, survey
from service.exports.versions import version_files

RUN_TAGS = ("mlflow.parentRunId", "mlflow.rootRunId")
HISTORY_TAG = "mlflow.log-model.history"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


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

        return compare(archive, url, token, done[0]["report"], _Ids(session, place))


class Ids(Protocol):
    """The ids here of ids there."""

    def run(self, original: str) -> str | None: ...

    def logged_model(self, original: str) -> str | None: ...


class _Ids:
    """Asks the registry, once for each id."""

    def __init__(self, session: requests.Session, place: str) -> None:
        self._session = session
        self._place = place
        self._known: dict[str, str | None] = {}

    def run(self, original: str) -> str | None:
        return self._of(f"runs/{quote(original, safe='')}", lambda found: found["run_id"])

    def logged_model(self, original: str) -> str | None:
        return self._of(f"logged-models/{quote(original, safe='')}", lambda found: found["origins"][0]["id"])

    def _of(self, path: str, pick: Callable[[Any], str]) -> str | None:
        if path not in self._known:
            answer = self._session.get(f"{self._place}/{path}", timeout=60)
            if answer.status_code not in (200, 404):
                answer.raise_for_status()
            self._known[path] = pick(answer.json()) if answer.ok else None
        return self._known[path]


def compare(archive: Path, url: str, token: str, report: Mapping[str, Any], ids: Ids) -> list[Difference]:
    """Compare `archive` with what the registry at `url` answers.

    Args:
        token: that may read it; MLflow's client takes its own from MLFLOW_TRACKING_TOKEN.
        report: of the import, which names experiments and versions, and what it could not take in.
        ids: of runs and logged models. An id that could not be kept is a difference, told where it is the thing's
            own; where others name it, the id here is expected.
    """
    runs: dict[str, RunRecord] = {}
    with archive.open("rb") as file:
        found = survey(read_members(file, archive.stat().st_size), lambda run: runs.__setitem__(run.run_id, run))
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    comparison = _Comparison(client, ProxiedFiles(url, token), found, runs, report, ids)
    return list(comparison.all())


@dataclass(frozen=True)
class _Comparison:
    client: MlflowClient
    files: ProxiedFiles
    found: Survey
    runs: Mapping[str, RunRecord]
    report: Mapping[str, Any]
    ids: Ids

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
        where = f"experiment {record.name}"
        row = self._row("experiments", original_id=record.experiment_id, original_name=record.name)
        got = _there(self.client.get_experiment, row["id"]) if row else None
        if row is None or got is None:
            yield Difference(where, "there", "absent")
            return
        yield from differences(
            where,
            {
                "name": (row["name"], got.name),
                "lifecycle_stage": (record.lifecycle_stage, got.lifecycle_stage),
                "creation_time": said(record.creation_time, got.creation_time),
                "last_update_time": said(record.last_update_time, got.last_update_time),
                "tags": (dict(record.tags), dict(got.tags)),
            },
        )

    def _row(self, kind: str, **wanted: str) -> Mapping[str, Any] | None:
        rows: list[dict[str, Any]] = self.report.get(kind, [])
        return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)

    def _failed(self, kind: str, name: str) -> bool:
        return any((row["kind"], row["name"]) == (kind, name) for row in self.report["failed"])

    def _run(self, record: RunRecord) -> Iterator[Difference]:
        where = f"run {record.run_id}"
        run_id = self.ids.run(record.run_id)
        got = _there(self.client.get_run, run_id) if run_id else None
        if run_id is None or got is None:
            yield Difference(where, "there", "absent")
            return
        row = self._row("experiments", original_id=record.experiment_id)
        yield from differences(
            where,
            {
                "run_id": (record.run_id, run_id),
                "experiment_id": (row["id"] if row else "none", got.info.experiment_id),
                "name": (record.name, got.info.run_name or ""),
                "user": (record.user, got.info.user_id or ""),
                "status": (record.status, got.info.status),
                "start_time": (record.start_time, got.info.start_time),
                "end_time": (record.end_time, got.info.end_time),
                "lifecycle_stage": (record.lifecycle_stage, got.info.lifecycle_stage),
                "params": (dict(record.params), dict(got.data.params)),
                "tags": (self._tags(record), dict(got.data.tags)),
                "datasets": shared(expected_datasets(record), found_datasets(got)),
                "model_inputs": shared(
                    [self._model_id(model) for model in record.model_inputs], model_ids(got.inputs, "model_inputs")
                ),
                "model_outputs": shared(
                    [(self._model_id(model), step) for model, step in record.model_outputs], model_outputs(got)
                ),
            },
        )
        yield from self._metrics(record, run_id, got)
        files = self.found.artifacts.get(record.folder, [])
        yield from self._files(where, files, got.info.artifact_uri)

    def _tags(self, record: RunRecord) -> dict[str, str]:
        """With the ids here of the runs that tags name."""
        named = {tag: self.ids.run(record.tags[tag]) for tag in RUN_TAGS if tag in record.tags}
        tags = {**record.tags, **{tag: run_id for tag, run_id in named.items() if run_id}}
        own = self.ids.run(record.run_id)
        if HISTORY_TAG in tags and own and own != record.run_id:
            tags[HISTORY_TAG] = tags[HISTORY_TAG].replace(record.run_id, own)
        return tags

    def _model_id(self, original: str) -> str:
        return self.ids.logged_model(original) or original

    def _metrics(self, record: RunRecord, run_id: str, got: Any) -> Iterator[Difference]:
        where = f"run {record.run_id}: metrics"
        histories = [history for history in record.metrics if history.values]
        keys = sorted(history.key for history in histories)
        yield from differences(where, {"keys": (keys, sorted(got.data.metrics))})
        latest = {history.key: comparable(max(history.points(), key=rank))[1] for history in histories}
        read_latest = {key: comparable(MetricPoint(key, value, 0, 0))[1] for key, value in got.data.metrics.items()}
        yield from differences(where, {"latest": (latest, read_latest)})
        for history in histories:
            key = history.key
            expected = set(map(comparable, history.points()))
            found = self.client.get_metric_history(run_id, key)
            read = {comparable(MetricPoint(key, p.value, p.timestamp, p.step)) for p in found}
            if expected != read:
                yield Difference(f"{where}.{key}", sorted(map(str, expected - read)), sorted(map(str, read - expected)))

    def _logged_model(self, record: LoggedModelRecord) -> Iterator[Difference]:
        where = f"logged model {record.model_id}"
        model_id = self.ids.logged_model(record.model_id)
        got = _there(self.client.get_logged_model, model_id) if model_id else None
        if got is None:
            yield Difference(where, "there", "absent")
            return
        run_id = self.ids.run(record.source_run_id) if record.source_run_id else None
        yield from differences(
            where,
            {
                "model_id": (record.model_id, model_id),
                "name": (record.name, got.name),
                "source_run_id": (run_id or record.source_run_id, got.source_run_id or ""),
                "status": (record.status, str(got.status.value)),
                "status_message": (record.status_message, got.status_message or ""),
                "model_type": (record.model_type, got.model_type or ""),
                "creation_time": said(record.creation_time, got.creation_timestamp),
                "last_updated_time": said(record.last_updated_time, got.last_updated_timestamp),
                "tags": (dict(record.tags), dict(got.tags)),
                "params": (dict(record.params), dict(got.params)),
                "metrics": (
                    sorted(model_metric(m, self.ids.run(m.run_id)) for m in record.metrics if self.ids.run(m.run_id)),
                    sorted(model_metric(m, m.run_id) for m in got.metrics or ()),
                ),
            },
        )
        yield from self._files(where, self.found.artifacts.get(record.folder, []), got.artifact_location)

    def _registered(self, record: RegisteredModelRecord) -> Iterator[Difference]:
        where = f"model {record.name}"
        row = self._row("models", original_name=record.name)
        got = _there(self.client.get_registered_model, row["name"]) if row else None
        if row is None or got is None:
            yield Difference(where, "there", "absent")
            return
        rows = {row["original_version"]: row for row in self.report["versions"] if row["original_model"] == record.name}
        kept = {
            alias: int(rows[str(version)]["version"])
            for alias, version in record.aliases.items()
            if str(version) in rows
        }
        yield from differences(
            where,
            {
                "description": (record.description, got.description or ""),
                "tags": (dict(record.tags), dict(got.tags)),
                "aliases": (kept, {alias: int(version) for alias, version in got.aliases.items() if alias in kept}),
                "creation_time": said(record.creation_time, got.creation_timestamp),
                "last_updated_time": said(record.last_updated_time, got.last_updated_timestamp),
            },
        )
        for version in record.versions:
            about = f"{where}, version {version.version}"
            if str(version.version) in rows:
                yield from self._version(about, version, rows[str(version.version)])
            elif not self._failed("version", f"{record.name}/{version.version}"):
                yield Difference(about, "there", "absent")

    def _version(self, where: str, record: VersionRecord, row: Mapping[str, Any]) -> Iterator[Difference]:
        read = _there(self.client.get_model_version, row["model"], str(row["version"]))
        if read is None:
            yield Difference(where, "there", "absent")
            return
        run_id = self.ids.run(record.run_id) if record.run_id else None
        yield from differences(
            where,
            {
                "number": (record.version, int(read.version)),
                "run_id": (run_id or "", read.run_id or ""),
                "run_link": (record.run_link, read.run_link or ""),
                "description": (record.description, read.description or ""),
                "tags": (dict(record.tags), dict(read.tags)),
                "creation_time": said(record.creation_time, read.creation_timestamp),
                "last_updated_time": said(record.last_updated_time, read.last_updated_timestamp),
                "user": (record.user, read.user_id or ""),
                "status": (record.status, read.status),
                "status_message": (record.status_message, read.status_message or ""),
                "source": (version_uri(row["digest"]), read.source),
            },
        )
        folder = self.found.models[row["original_model"]].folder
        yield from self._files(where, version_files(self.found, record, folder).files, read.source)

    def _files(self, where: str, files: list[ArtifactFile], uri: str) -> Iterator[Difference]:
        expected = {file.path: file.sha256 for file in files}
        yield from differences(where, {"artifacts": (expected, self.files.digests(uri))})


def _there(ask: Callable[..., Any], *names: str) -> Any:
    """What the client answers; None when the registry does not have it."""
    try:
        return ask(*names)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise
