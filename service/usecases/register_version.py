"""Register a folder of a run's artifacts as a version: its bytes are copied where nobody else writes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice

from service.domain.audit import Change
from service.domain.errors import Conflict, InvalidInput, NotFound
from service.domain.file_names import check_files
from service.domain.identity import Principal, Scope
from service.domain.layout import artifact_prefix, pending_prefix, version_prefix
from service.domain.model import Lineage, Manifest, ManifestFile, ModelVersion
from service.domain.names import check_model_name
from service.exports.mlmodel import MAX_SIZE, MLmodel, read_mlmodel
from service.usecases.claim_folders import claim
from service.usecases.model_ports import NewVersion
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record
from service.usecases.sign_versions import sign
from service.usecases.signing_ports import Signer
from service.usecases.stored_bytes import is_stored

BLOCK = 1024 * 1024
MAX_FILES = 100_000
"""Of a version: a list of them is kept in memory, and each is copied by itself."""


def register_version(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    by: Principal,
    model: str,
    run_id: str,
    artifact_path: str,
    signer: Signer | None = None,
) -> ModelVersion:
    """Copy, hash, and write the version; equal bytes are stored once.

    Raises NotFound(kind="run") or NotFound(kind="artifact") when the run does not hold the path, NotAllowed
    when the run's workspace is not the caller's, Conflict when another workspace owns the model's name,
    InvalidInput for files that no puller would place.
    """
    check_model_name(model)
    path = _clean(artifact_path)
    with store.transaction() as tx:
        run = tx.models.run(run_id)
        owner = tx.models.owner(model)
        logged = tx.models.logged_model_uri(run_id, path)
    by.require(Scope("import", run.workspace))
    if owner not in (None, run.workspace):  # told before any byte is copied; the store decides in the end
        raise Conflict(f"The model name {model!r} belongs to another workspace; choose another.", field="model")
    folder, found = files_of(objects, f"{run.artifact_uri}/{path}".rstrip("/"))
    if not found and logged is not None:  # MLflow 3 keeps `runs:/<run>/<name>` as a logged model of that name
        folder, found = files_of(objects, logged)
    if not found:
        raise NotFound("artifact", artifact_path, f"Run {run_id!r} has no artifacts under {artifact_path!r}.")
    lineage = {**run.lineage, "run_id": run_id, "artifact_path": path}
    with frozen(store, objects, clock, folder, found) as (manifest, mlmodel), store.transaction() as tx:
        version = tx.models.add_version(
            NewVersion(
                model=model,
                workspace=run.workspace,
                manifest=manifest,
                run_id=run_id,
                created_by=by.name,
                flavors=mlmodel.flavors,
                signature=mlmodel.signature,
                lineage={**asdict(Lineage()), **lineage},
                user=by.name,
            )
        )
        sign(tx, signer, manifest, clock())
        record(tx, version_registered(by, run.workspace, version), clock())
        return version


def version_registered(by: Principal, workspace: str, version: ModelVersion) -> Change:
    """A new version, as it is recorded."""
    told = {"version": version.version, "digest": version.digest, "size": version.size, "run_id": version.run_id}
    return Change(
        "version.registered", by, workspace=workspace, model=version.model, subject=str(version.version), after=told
    )


def version_changed(by: Principal, workspace: str, version: ModelVersion, new: NewVersion) -> Change:
    """A version whose description or tags an export has changed, as it is recorded; its bytes never change."""
    told = {"description": new.description, "tags": dict(new.tags or {})}
    return Change(
        "version.changed", by, workspace=workspace, model=version.model, subject=str(version.version), after=told
    )


def files_of(objects: ObjectStore, uri: str) -> tuple[str, list[str]]:
    """The folder behind an artifact URI and the keys in it; none for a URI of another store."""
    folder = folder_at(uri)
    return folder, [info.key for info in files_below(objects, folder)] if folder else []


def files_below(objects: ObjectStore, folder: str) -> list[ObjectInfo]:
    """Raises InvalidInput for more files than a version may have; no more than that are listed."""
    found = list(islice(objects.list(folder), MAX_FILES + 1))
    if len(found) > MAX_FILES:
        raise InvalidInput(f"The folder holds more than {MAX_FILES} files, the most that a version has.")
    return found


def folder_at(uri: str) -> str:
    """The folder in the bucket behind an artifact URI, with a slash at its end; '' for a URI of another store."""
    prefix = artifact_prefix(uri)
    return "" if prefix is None else prefix.rstrip("/") + "/"


def _clean(artifact_path: str) -> str:
    path = artifact_path.strip("/")
    if any(segment in ("", ".", "..") for segment in path.split("/")) and path:
        raise InvalidInput("artifact_path must be relative, without '.' and '..'.", field="artifact_path")
    return path


@contextmanager
def frozen(
    store: RegistryStore, objects: ObjectStore, clock: Clock, folder: str, keys: list[str]
) -> Iterator[tuple[Manifest, MLmodel]]:
    """Copy first, hash the copy: what a client writes to the run meanwhile cannot get in between.

    What is copied is claimed until the block, which writes the row, has ended. Raises InvalidInput for files that
    no puller would place.
    """
    check_files(key[len(folder) :] for key in keys)
    pending = pending_prefix(str(uuid.uuid4()))
    claim(store, clock, pending, [pending])
    copies = {key: pending + key[len(folder) :] for key in keys}
    try:
        for source, copy in copies.items():
            objects.copy(source, copy)
        manifest = Manifest.of(_hashed(objects, copy, copy[len(pending) :]) for copy in copies.values())
        mlmodel = mlmodel_of(objects, pending, manifest)
        target = version_prefix(manifest.digest)
        claim(store, clock, pending, [target])
        if not is_stored(store, objects, manifest):
            for file in manifest.files:
                objects.copy(pending + file.path, target + file.path)
        yield manifest, mlmodel
    finally:
        objects.delete(copies.values())
        with store.transaction() as tx:
            tx.claims.release(pending)


def _hashed(objects: ObjectStore, key: str, path: str) -> ManifestFile:
    hasher = hashlib.sha256()
    size = 0
    with objects.open(key) as body:
        while block := body.read(BLOCK):
            hasher.update(block)
            size += len(block)
    return ManifestFile(path, size, hasher.hexdigest())


def mlmodel_of(objects: ObjectStore, prefix: str, manifest: Manifest) -> MLmodel:
    """What the MLmodel file below the prefix says; nothing without a readable one."""
    file = manifest.file("MLmodel")
    if file is None or file.size > MAX_SIZE:
        return MLmodel()
    with objects.open(prefix + file.path) as body:
        return read_mlmodel(body.read()) or MLmodel()
