"""Which of the export's files are the bytes of a registered version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from service.exports.records import RunRecord, VersionRecord
from service.exports.survey import ArtifactFile, Survey, files_below

COPIES = 20
"""How many versions may be copies of one another."""


@dataclass(frozen=True)
class VersionFiles:
    """`artifact_path` is relative to the run's artifacts; empty for a logged model or a model at their root.

    `beside` is the folder of the version's own files, when they come from there.
    """

    files: list[ArtifactFile]
    artifact_path: str
    model_id: str
    beside: str = ""


def version_files(survey: Survey, version: VersionRecord, folder: str = "") -> VersionFiles:
    """No files when the export does not hold them.

    A version's `source` names a logged model (`models:/m-…`), another version that it is a copy of (`models:/…/1`)
    or a folder of its run's artifacts, as a path or a URI of the workspace it comes from. Only text is compared:
    nothing is ever fetched from it. `folder` is where the version's model is described: some exports hold a copy
    of the version's own files there, which serves when nothing else does.
    """
    found = _sourced(survey, version)
    return found if found.files else _beside(survey, version, folder, found)


def _sourced(survey: Survey, version: VersionRecord, copies: int = COPIES) -> VersionFiles:
    model_id = version.model_id or (
        version.source.removeprefix("models:/") if version.source.startswith("models:/m-") else ""
    )
    if model_id in survey.logged_models:
        return _logged(survey, model_id)
    copied = _copied(survey, version.source)
    if copied is not None and copies:
        return _sourced(survey, copied, copies - 1)
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


def _copied(survey: Survey, source: str) -> VersionRecord | None:
    name, slash, number = source.removeprefix("models:/").rpartition("/")
    model = survey.models.get(name) if slash and source.startswith("models:/") else None
    return next((of for of in model.versions if str(of.version) == number), None) if model else None


def _beside(survey: Survey, version: VersionRecord, folder: str, otherwise: VersionFiles) -> VersionFiles:
    """`version_models/<number>` or `version_model` beside the model's file; the model may lie one folder deeper."""
    base = folder + "/" if folder else ""
    for place in (f"{base}version_models/{version.version}", f"{base}version_model"):
        files = survey.artifacts.get(place, [])
        roots = [file.path.removesuffix("MLmodel") for file in files if PurePosixPath(file.path).name == "MLmodel"]
        if roots:
            return VersionFiles(files_below(files, min(roots, key=len)), "", "", place)
    return otherwise


def _logged(survey: Survey, model_id: str) -> VersionFiles:
    folder = survey.logged_models[model_id].folder
    return VersionFiles(list(survey.artifacts.get(folder, ())), "", model_id)


def artifact_path(version: VersionRecord, run: RunRecord) -> str | None:
    """The source relative to the run's artifacts: '' for their root, None when it lies elsewhere.

    The run's own artifact root is tried first, since a root may itself contain the word `artifacts`.
    """
    for source in (version.source.rstrip("/"), version.download_uri.rstrip("/")):
        for root in (version.run_artifact_uri, run.artifact_uri):
            base = root.rstrip("/")
            if base and (source == base or source.startswith(base + "/")):
                return source[len(base) :].strip("/")
        for marker in (f"/{run.run_id}/artifacts", f"runs:/{run.run_id}"):
            _, found, rest = source.rpartition(marker)
            if found and (not rest or rest.startswith("/")):
                return rest.strip("/")
    return None
