"""Read an imported export back through MLflow's own client and list every difference."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _use_tracking_uri

from service.compare_extras import compare_dataset, compare_prompt, compare_trace
from service.compare_fields import Difference
from service.compare_files import ProxiedFiles
from service.compare_models import compare_registered_model
from service.compare_reading import Ids, Reading
from service.compare_tracking import compare_experiment, compare_logged_model, compare_run
from service.exports.archive import read_members
from service.exports.records import RunRecord
from service.exports.spans import SpanRecord
from service.exports.survey import survey


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
    spans: dict[str, Sequence[SpanRecord]] = {}
    with archive.open("rb") as file:
        found = survey(
            read_members(file, archive.stat().st_size),
            lambda run: runs.__setitem__(run.run_id, run),
            on_spans=lambda of: spans.update({span.trace_id: of for span in of}),
        )
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    new_ids = {(row["kind"], row["original_id"]): row["id"] for row in report.get("new_ids", ())}
    reading = Reading(client, ProxiedFiles(url, token), found, runs, spans, report, ids, new_ids)
    # Datasets and traces fetch what they hold from wherever the process talks to, not from their client's registry.
    with _use_tracking_uri(url):
        return list(_all(reading))


def _all(reading: Reading) -> Iterator[Difference]:
    for experiment in reading.found.experiments.values():
        yield from compare_experiment(reading, experiment)
    for run in reading.runs.values():
        yield from compare_run(reading, run)
    for model in reading.found.logged_models.values():
        yield from compare_logged_model(reading, model)
    for registered in reading.found.models.values():
        yield from compare_registered_model(reading, registered)
    extras = reading.found.extras
    for trace in extras.traces.values():
        yield from compare_trace(reading, trace)
    for prompt in extras.prompts.values():
        yield from compare_prompt(reading, prompt)
    for dataset in extras.evaluation_datasets.values():
        yield from compare_dataset(reading, dataset)
