"""Which of the export's files are the bytes of a registered version."""

from __future__ import annotations

from dataclasses import dataclass

from service.exports.records import RunRecord, VersionRecord
from service.exports.survey import ArtifactFile, Survey, files_below


@dataclass(frozen=True)
class VersionFiles:
    """`artifact_path` is relative to the run's artifacts; empty for a logged model or a model at their root."""

    files: list[ArtifactFile]
    artifact_path: str
    model_id: str


def version_files(survey: Survey, version: VersionRecord) -> VersionFiles:
    """No files when the export does not hold them.

    A version's `source` names a logged model (`models:/m-…`) or a folder of its run's artifacts, as a path or
    a URI of the workspace it comes from. Only text is compared: nothing is ever fetched from it.
    """
    model_id = version.model_id or (
        version.source.removeprefix("models:/") if version.source.startswith("models:/m-") else ""
    )
    if model_id in survey.logged_models:
        return _logged(survey, model_id)
    run = survey.runs.get(version.run_id)
    if run is None:
        return VersionFiles([], "", model_id)
    path = artifact_path(version, run)
    if path is None:
        return VersionFiles([], "", model_id)
    files = files_below(survey.artifacts.get(run.folder, ()), path)
    if files:
        return VersionFiles(files, path, "")
    outputs = [model for model, _ in run.model_outputs if model in survey.logged_models]
    named = [model for model in outputs if survey.logged_models[model].name == path]
    return _logged(survey, named[-1]) if len(named) == 1 else VersionFiles([], path, "")


def _logged(survey: Survey, model_id: str) -> VersionFiles:
    folder = survey.logged_models[model_id].folder
    return VersionFiles(list(survey.artifacts.get(folder, ())), "", model_id)


def artifact_path(version: VersionRecord, run: RunRecord) -> str | None:
    """The source relative to the run's artifacts: '' for their root, None when it lies elsewhere.

    The run's own artifact root is tried first, since a root may itself contain the word `artifacts`.
    """
    source = version.source.rstrip("/")
    for root in (version.run_artifact_uri, run.artifact_uri):
        base = root.rstrip("/")
        if base and (source == base or source.startswith(base + "/")):
            return source[len(base) :].strip("/")
    for marker in (f"/{run.run_id}/artifacts", f"runs:/{run.run_id}"):
        _, found, rest = source.rpartition(marker)
        if found and (not rest or rest.startswith("/")):
            return rest.strip("/")
    return None
