"""One pass over an export's members: its documents as records, its artifacts as sizes and digests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from service.domain.errors import ExportRefused
from service.exports import documents
from service.exports.archive_limits import Member
from service.exports.budget import MAX_KEPT, Kept
from service.exports.extras import READ, SPANS, Extras
from service.exports.fields import MAX_JSON, Fields, read_json
from service.exports.large_json import read_large_run
from service.exports.mlmodel import MAX_SIZE, MLmodel, read_mlmodel
from service.exports.records import ExperimentRecord, LoggedModelRecord, RegisteredModelRecord, RunRecord
from service.exports.single_versions import attach_versions, check_versions
from service.exports.spans import SpanRecord

ARTIFACTS = "artifacts"
BLOCK = 1024 * 1024
LARGE = 16 * 1024 * 1024
"""Bytes of a run's JSON from which its metrics are read point by point."""
MAX_RUN = 512 * 1024 * 1024
INDEXES = ("manifest.json",)
"""Files that only list what other files hold, and whose other lists are read."""
_VERSIONS = "version_models"
_VERSION = "version_model"
_BESIDE_A_VERSION = ("run", "version.json", "model.json", "experiment.json")


@dataclass(frozen=True)
class ArtifactFile:
    """`path` is relative to the owner's `artifacts` folder; `member` is its path in the archive."""

    path: str
    member: str
    size: int
    sha256: str


@dataclass
class Survey:
    """What an export holds. `artifacts` by the folder of the run, logged model, version or trace that owns them.

    `listed` and `failed` are (kind, id or name) of what the indexes of a bulk export say is there, or is not.

    Runs are kept without their metrics and params, which went to the pass's `on_run`.
    """

    experiments: dict[str, ExperimentRecord] = field(default_factory=dict)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    logged_models: dict[str, LoggedModelRecord] = field(default_factory=dict)
    models: dict[str, RegisteredModelRecord] = field(default_factory=dict)
    extras: Extras = field(default_factory=Extras)
    copies: dict[str, str] = field(default_factory=dict)
    single_versions: list[RegisteredModelRecord] = field(default_factory=list)
    artifacts: dict[str, list[ArtifactFile]] = field(default_factory=dict)
    mlmodels: dict[str, MLmodel] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    listed: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0
    versions: int = 0
    kept: Kept = field(default_factory=Kept)


def survey(
    members: Iterable[tuple[Member, BinaryIO]],
    on_run: Callable[[RunRecord], None],
    on_progress: Callable[[Survey], None] = lambda _: None,
    on_spans: Callable[[Sequence[SpanRecord]], None] = lambda _: None,
    max_kept: int = MAX_KEPT,
) -> Survey:
    """Read every member once. `on_run` is called with each run, in the archive's order, once for each run id, and
    `on_spans` with the spans of each trace. What is kept takes at most `max_kept` bytes.

    Raises:
        ArchiveRefused, TooLarge: from `members`, and TooLarge for what takes too much memory.
        ExportRefused: a document cannot be read, or the archive holds nothing that can be imported.
    """
    found = Survey(kept=Kept(max_kept))
    for member, stream in members:
        folder, separator, inner = _split(member.path)
        if separator:
            _artifact(found, member, stream, folder, inner, on_spans)
        else:
            _document(found, member, stream, folder, on_run)
        found.bytes += member.size
        on_progress(found)
    _merge_copies(found)
    attach_versions(found.models, found.single_versions)
    found.extras.check()
    if not (found.experiments or found.runs or found.models or found.logged_models or found.extras):
        raise ExportRefused(
            "The archive holds no experiment, run, model or prompt: send the folder that an mlflow-export-import "
            "command wrote, with its experiment.json, run.json, model.json or prompt.json."
        )
    return found


def _split(path: str) -> tuple[str, bool, str]:
    """(owner's folder, whether it is an artifact, path inside its folder of artifacts or the document's name)."""
    segments = path.split("/")
    for at, segment in enumerate(segments[:-1]):
        rest = segments[at + 1 :]
        if segment == ARTIFACTS:
            return "/".join(segments[:at]), True, "/".join(rest)
        if segment == _VERSIONS and rest[0].isdigit() and len(rest) > 1:
            return "/".join(segments[: at + 2]), True, "/".join(rest[1:])
        if segment == _VERSION and rest[0] not in _BESIDE_A_VERSION and at:
            return "/".join(segments[: at + 1]), True, "/".join(rest)
    return "/".join(segments[:-1]), False, segments[-1]


def _artifact(
    found: Survey,
    member: Member,
    stream: BinaryIO,
    folder: str,
    inner: str,
    on_spans: Callable[[Sequence[SpanRecord]], None],
) -> None:
    hasher = hashlib.sha256()
    kept: list[bytes] = []
    is_mlmodel = inner.rpartition("/")[2] == "MLmodel" and member.size <= MAX_SIZE
    is_spans = inner == SPANS
    while block := stream.read(BLOCK):
        hasher.update(block)
        if is_mlmodel or (is_spans and member.size <= MAX_JSON):
            kept.append(block)
    if is_spans:
        spans = found.extras.read_spans(io.BytesIO(b"".join(kept)), member, folder, on_spans)
        found.kept.add(spans, member.path)
    found.artifacts.setdefault(folder, []).append(ArtifactFile(inner, member.path, member.size, hasher.hexdigest()))
    if is_mlmodel:
        mlmodel = read_mlmodel(b"".join(kept))
        if mlmodel is not None:
            found.kept.add(mlmodel, member.path)
            found.mlmodels[member.path] = mlmodel


def _document(
    found: Survey, member: Member, stream: BinaryIO, folder: str, on_run: Callable[[RunRecord], None]
) -> None:
    name = member.path.rpartition("/")[2]
    reader = _READERS.get(name)
    if reader is None:
        if name not in INDEXES:
            found.unread.append(member.path)
        return
    try:
        kept = reader(found, _read(member, stream, name), member.path, folder, on_run)
    except RecursionError:  # it could just be read, and cannot be written again
        raise ExportRefused("The JSON is nested too deep.", file=member.path) from None
    found.kept.add(kept, member.path)


def _read(member: Member, stream: BinaryIO, name: str) -> dict[str, Any]:
    """Only a run's file may be long, by the points of its metrics."""
    if name == "run.json" and LARGE < member.size <= MAX_RUN:
        return read_large_run(stream, member.path)
    return read_json(stream, member.size, member.path)


def _experiment(found: Survey, document: dict[str, Any], file: str, folder: str, _: object) -> object:
    record = documents.read_experiment(document, file, folder)
    known = found.experiments.setdefault(record.experiment_id, record)
    if known is not record and known.name != record.name:
        raise ExportRefused(
            f"Two experiments have the id {record.experiment_id}: {known.name!r} and {record.name!r}.",
            file=file,
            field="mlflow.experiment.experiment_id",
        )
    return known


def _run(
    found: Survey, document: dict[str, Any], file: str, folder: str, on_run: Callable[[RunRecord], None]
) -> object:
    record = documents.read_run(document, file, folder)
    known = found.runs.get(record.run_id)
    if known is None:
        on_run(record)
        found.runs[record.run_id] = replace(record, metrics=(), params={})
        return found.runs[record.run_id]
    # Bulk exports hold a second copy beside the model.
    found.copies[folder] = known.folder
    return folder


def _logged_model(found: Survey, document: dict[str, Any], file: str, folder: str, _: object) -> object:
    record = documents.read_logged_model(document, file, folder)
    known = found.logged_models.setdefault(record.model_id, record)
    if known is record:
        return record
    found.copies[folder] = known.folder
    return folder


def _model(found: Survey, document: dict[str, Any], file: str, folder: str, _: object) -> object:
    record = documents.read_registered_model(document, file, folder)
    if found.models.setdefault(record.name, record) is not record:
        raise ExportRefused(
            f"The model {record.name!r} is in the export twice.", file=file, field="mlflow.registered_model.name"
        )
    found.versions += len(record.versions)
    check_versions(found.versions, file)
    return record


def _version(found: Survey, document: dict[str, Any], file: str, folder: str, _: object) -> object:
    record = documents.read_model_version(document, file, folder)
    found.single_versions.append(record)
    found.versions += len(record.versions)
    check_versions(found.versions, file)
    return record


def _experiments_index(found: Survey, document: dict[str, Any], file: str, _: str, __: object) -> object:
    rows = Fields(document, file).optional("mlflow").objects("experiments")
    listed = [("experiment", row.text("id")) for row in rows]
    found.listed += listed
    return listed


def _models_index(found: Survey, document: dict[str, Any], file: str, _: str, __: object) -> object:
    whole = Fields(document, file)
    listed = [("model", name) for name in whole.optional("mlflow").texts("models")]
    failed = [("model", name) for name in whole.optional("info").names("failed_models")]
    found.listed += listed
    found.failed += failed
    return listed, failed


def _logged_models_index(found: Survey, document: dict[str, Any], file: str, _: str, __: object) -> object:
    whole = Fields(document, file)
    rows = whole.optional("mlflow").objects("experiments")
    listed = [("logged_model", model_id) for row in rows for model_id in row.texts("logged_models")]
    failed = [("logged_model", name) for name in whole.optional("info").names("failed_logged_models")]
    found.listed += listed
    found.failed += failed
    return listed, failed


def _extra(found: Survey, document: dict[str, Any], file: str, folder: str, _: object) -> object:
    return found.extras.read(file.rpartition("/")[2], document, file, folder)


def _merge_copies(found: Survey) -> None:
    """A copy adds only the files that the first folder of the same run or logged model lacks."""
    for copy, original in (found.copies | found.extras.copies).items():
        kept = found.artifacts.setdefault(original, [])
        known = {file.path for file in kept}
        kept.extend(file for file in found.artifacts.pop(copy, ()) if file.path not in known)


# Each answers with what is kept of the document.
_READERS: dict[str, Callable[[Survey, dict[str, Any], str, str, Callable[[RunRecord], None]], object]] = {
    "experiment.json": _experiment,
    "run.json": _run,
    "logged_model.json": _logged_model,
    "model.json": _model,
    "version.json": _version,
    "experiments.json": _experiments_index,
    "models.json": _models_index,
    "logged_models.json": _logged_models_index,
    **dict.fromkeys(READ, _extra),
}


def files_below(files: Iterable[ArtifactFile], path: str) -> list[ArtifactFile]:
    """The files at or below `path`, with paths relative to it; all files for an empty path."""
    prefix = path.strip("/") + "/" if path.strip("/") else ""
    return [replace(file, path=file.path[len(prefix) :]) for file in files if file.path.startswith(prefix)]
