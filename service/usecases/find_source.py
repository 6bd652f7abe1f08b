"""Where the files of a version are that an MLflow client wants to register."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.domain.errors import InvalidInput, NotFound
from service.domain.layout import artifact_uri
from service.domain.source import DigestSource, LoggedModelSource, PathSource, RunSource, VersionSource, parse_source
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import Transaction
from service.usecases.register_version import folder_at


@dataclass(frozen=True)
class Found:
    """Folders in the bucket of which the first with files counts, or the digest of frozen bytes; and their lineage."""

    folders: tuple[str, ...]
    digest: str
    run_id: str
    lineage: Mapping[str, Any]


def find_source(tx: Transaction, source: str, run_id: str, model_id: str) -> Found:
    """What the URI means; a run or logged model that is named beside it must be the one that holds it.

    Raises InvalidInput for a source that is not this registry's own, NotFound for one that is not there.
    """
    match parse_source(source):
        case RunSource(run, path):
            return _of_run(tx, run, path, run_id)
        case LoggedModelSource(model):
            known = tx.models.logged_model(model)
            return _found(tx, (folder_at(known.artifact_uri),), run_id or known.run_id, source)
        case VersionSource(model, number):
            version = tx.models.version(model, number)
            lineage = {**asdict(version.lineage), "original_source": source}
            return Found((), version.digest, run_id or version.run_id, lineage)
        case DigestSource(digest):
            if not tx.models.has_manifest(digest):
                raise NotFound("digest", digest)
            return Found((), digest, run_id, {"run_id": run_id, "original_source": source})
        case PathSource(path):
            folder = folder_at(artifact_uri(path))
            _check_inside(tx, folder, run_id, model_id)
            return _found(tx, (folder, *_logged_at(tx, folder, "" if model_id else run_id)), run_id, source)


def _of_run(tx: Transaction, run: str, path: str, run_id: str) -> Found:
    if run_id not in ("", run):
        raise InvalidInput("The source is in another run than run_id names.", field="run_id")
    known = tx.models.run(run)
    folder = folder_at(f"{known.artifact_uri}/{path}")
    folders = (folder, *_logged_at(tx, folder, run))
    return Found(folders, "", run, {**known.lineage, "run_id": run, "artifact_path": path})


def _logged_at(tx: Transaction, folder: str, run_id: str) -> list[str]:
    """What MLflow 3 keeps as a logged model instead of in this folder of the run; none when it is no folder of it."""
    root = folder_at(tx.models.run(run_id).artifact_uri) if run_id else ""
    name = folder.removeprefix(root).strip("/") if root and folder.startswith(root) else ""
    logged = tx.models.logged_model_uri(run_id, name) if name else None
    return [] if logged is None else [folder_at(logged)]


def _check_inside(tx: Transaction, folder: str, run_id: str, model_id: str) -> None:
    """Raises InvalidInput when the run or the logged model that is named does not hold the folder."""
    roots = []
    if model_id:
        roots.append(tx.models.logged_model(model_id).artifact_uri)
    if run_id and not model_id:
        roots.append(tx.models.run(run_id).artifact_uri)
    if not all(folder.startswith(folder_at(root)) for root in roots):
        raise InvalidInput(
            "The source is not among the files of the run or logged model that is named.", field="source"
        )


def _found(tx: Transaction, folders: tuple[str, ...], run_id: str, source: str) -> Found:
    try:
        lineage = dict(tx.models.run(run_id).lineage) if run_id else {}
    except NotFound:  # a run that is gone leaves its models
        lineage = {}
    return Found(folders, "", run_id, {**lineage, "run_id": run_id, "original_source": source})


def files_in(objects: ObjectStore, found: Found) -> tuple[str, list[ObjectInfo]]:
    """The folder and its files; for frozen bytes '' and none, which is never an error.

    Raises NotFound(kind="artifact") when no folder has files.
    """
    if found.digest:
        return "", []
    for folder in found.folders:
        if folder and (files := list(objects.list(folder))):
            return folder, files
    raise NotFound("artifact", found.folders[0], "The source has no files.")
