"""Where the files of a version are that an MLflow client wants to register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from service.domain.errors import InvalidInput, NotFound
from service.domain.identity import Principal, Scope
from service.domain.layout import artifact_uri
from service.domain.source import DigestSource, LoggedModelSource, PathSource, RunSource, VersionSource, parse_source
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import Transaction
from service.usecases.register_version import files_below, folder_at

PROVENANCE = ("workspace", "import_id", "archive_digest")
"""Of a lineage: that the files are those of an import."""
_DEPTH = 6
"""Names in the longest `mlflow/workspaces/<workspace>/models/<model>/artifacts`; see `service.domain.layout`."""


@dataclass(frozen=True)
class Found:
    """Folders in the bucket of which the first with files counts, or the digest of frozen bytes; and their lineage."""

    folders: tuple[str, ...]
    digest: str
    run_id: str
    lineage: Mapping[str, Any]


def find_source(tx: Transaction, by: Principal, source: str, run_id: str, model_id: str) -> Found:
    """What the URI means; a run or logged model that is named beside it must be the one that holds it.

    Policies look at what the run measured: a version that may name any run could pass with another one's metrics.
    They look at the workspace, too: files of an imported run may have been changed here, so a version of them is only
    said to come from its workspace when who registers it may import from there.

    Raises InvalidInput for a source that is not this registry's own, NotFound for one that is not there.
    """
    match parse_source(source):
        case RunSource(run, path):
            _check_same(run, run_id)
            return _of_run(tx, by, run, path)
        case LoggedModelSource(model):
            known = tx.models.logged_model(model)
            _check_same(model, model_id, "model_id")
            _check_same(known.run_id, run_id)
            return _found(tx, by, (folder_at(known.artifact_uri),), known.run_id, source)
        case VersionSource(model, number):
            version = tx.models.version(model, number)
            _check_same(version.run_id, run_id)
            lineage = {**asdict(version.lineage), "original_source": source}
            return Found((), version.digest, version.run_id, lineage)
        case DigestSource(digest):
            if not tx.models.has_manifest(digest):
                raise NotFound("digest", digest)
            _check_made(tx, digest, run_id)
            return Found((), digest, run_id, {"run_id": run_id, "original_source": source})
        case PathSource(path):
            folder = folder_at(artifact_uri(path))
            _check_inside(tx, folder, run_id, model_id)
            return _found(tx, by, (folder, *_logged_at(tx, folder, "" if model_id else run_id)), run_id, source)


def _check_same(own: str, named: str, field: str = "run_id") -> None:
    """Raises InvalidInput when another run or logged model is named than the source's own, which may be ''."""
    if named not in ("", own):
        raise InvalidInput(f"The source is not of the one that {field} names.", field=field)


def _check_made(tx: Transaction, digest: str, run_id: str) -> None:
    """Raises InvalidInput when no version with these bytes is of the run."""
    made = (tx.models.version(*key).run_id for key in tx.checks.versions(digest)) if run_id else ()
    if run_id and run_id not in made:
        raise InvalidInput("No version with these bytes is of the run that run_id names.", field="run_id")


def _of_run(tx: Transaction, by: Principal, run: str, path: str) -> Found:
    known = tx.models.run(run)
    folder = folder_at(f"{known.artifact_uri}/{path}")
    folders = (folder, *_logged_at(tx, folder, run))
    return Found(folders, "", run, {**_vouched(by, known.lineage), "run_id": run, "artifact_path": path})


def _logged_at(tx: Transaction, folder: str, run_id: str) -> list[str]:
    """What MLflow 3 keeps as a logged model instead of in this folder of the run; none when it is no folder of it."""
    root = folder_at(tx.models.run(run_id).artifact_uri) if run_id else ""
    name = folder.removeprefix(root).strip("/") if root and folder.startswith(root) else ""
    logged = tx.models.logged_model_uri(run_id, name) if name else None
    return [] if logged is None else [folder_at(logged)]


def _check_inside(tx: Transaction, folder: str, run_id: str, model_id: str) -> None:
    """Raises InvalidInput unless the logged model or run that is named holds the folder, or any when none is named."""
    roots: Iterable[str]
    if model_id:
        logged = tx.models.logged_model(model_id)
        _check_same(logged.run_id, run_id)
        roots = [logged.artifact_uri]
    else:
        roots = [tx.models.run(run_id).artifact_uri] if run_id else _roots(tx, folder)
    if not any(root and folder.startswith(root) for root in map(folder_at, roots)):
        raise InvalidInput(
            "The source is not among the files of the run or logged model that is named, or of any.", field="source"
        )


def _roots(tx: Transaction, folder: str) -> Iterator[str]:
    """Where the files are of each run and logged model that the folder's path names."""
    for owner, name in pairwise(folder.split("/")[:_DEPTH]):
        if name == "artifacts":
            for known in (tx.models.run, tx.models.logged_model):
                with suppress(NotFound):
                    yield known(owner).artifact_uri


def _found(tx: Transaction, by: Principal, folders: tuple[str, ...], run_id: str, source: str) -> Found:
    try:
        lineage = _vouched(by, tx.models.run(run_id).lineage) if run_id else {}
    except NotFound:  # a run that is gone leaves its models
        lineage = {}
    return Found(folders, "", run_id, {**lineage, "run_id": run_id, "original_source": source})


def _vouched(by: Principal, lineage: Mapping[str, Any]) -> dict[str, Any]:
    workspace = lineage.get("workspace", "")
    if not workspace or by.may(Scope("import", workspace)):
        return dict(lineage)
    return {name: value for name, value in lineage.items() if name not in PROVENANCE}


def files_in(objects: ObjectStore, found: Found) -> tuple[str, list[ObjectInfo]]:
    """The folder and its files; for frozen bytes '' and none, which is never an error.

    Raises NotFound(kind="artifact") when no folder has files, InvalidInput when one has too many.
    """
    if found.digest:
        return "", []
    for folder in found.folders:
        if folder and (files := files_below(objects, folder)):
            return folder, files
    raise NotFound("artifact", found.folders[0], "The source has no files.")
