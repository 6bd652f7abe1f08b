"""Hand out the version of a stage: its description, its files, its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from service.domain.audit import Change
from service.domain.environment import Assignment
from service.domain.errors import Damaged, NotFound
from service.domain.identity import Principal
from service.domain.layout import version_prefix
from service.domain.model import Manifest, ManifestFile, ModelVersion
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record
from service.usecases.record_reads import Reads

BLOCK = 1024 * 1024


def resolve_stage(store: RegistryStore, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
    """What the stage hands out now. Raises NotFound for whatever part of the address leads nowhere."""
    with store.transaction() as tx:
        return tx.stages.current(environment, model, stage)


def read_stage(
    store: RegistryStore,
    clock: Clock,
    reads: Reads,
    by: Principal,
    environment: str,
    model: str,
    stage: str,
    action: str = "stage.read",
) -> tuple[Assignment, ModelVersion]:
    """As `resolve_stage`, for somebody: recorded if it is one of the sample."""
    with store.transaction() as tx:
        found = tx.stages.current(environment, model, stage)
        reads.record(tx, clock, _handed_out(action, by, *found))
        return found


@dataclass(frozen=True)
class FileLink:
    file: ManifestFile
    url: str


def hand_out_files(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    by: Principal,
    environment: str,
    model: str,
    stage: str,
    seconds: int,
) -> tuple[ModelVersion, list[FileLink]]:
    """The stage's version and each of its files with a URL that is good for `seconds`; recorded before it is told."""
    with store.transaction() as tx:
        assignment, version = tx.stages.current(environment, model, stage)
        manifest = tx.models.manifest(version.digest)
        told = {"files": len(manifest.files), "expires_in": seconds}
        record(tx, _handed_out("files.handed_out", by, assignment, version, told), clock())
    prefix = version_prefix(version.digest)
    return version, [
        FileLink(file, objects.presign(prefix + file.path, seconds, file.path.rpartition("/")[2]))
        for file in manifest.files
    ]


def _handed_out(
    action: str, by: Principal, assignment: Assignment, version: ModelVersion, told: Mapping[str, Any] | None = None
) -> Change:
    return Change(
        action,
        by,
        environment=assignment.environment,
        model=version.model,
        subject=assignment.stage,
        after={"version": version.version, "digest": version.digest, **(told or {})},
    )


@contextmanager
def verified_file(objects: ObjectStore, digest: str, file: ManifestFile) -> Iterator[Iterator[bytes]]:
    """The blocks of one file; the last block is only given once size and SHA-256 are what was registered.

    Raises Damaged when the bytes are missing or differ.
    """
    key = version_prefix(digest) + file.path
    try:
        with objects.open(key) as body:
            yield _verified(body, file)
    except NotFound as error:
        raise Damaged(
            f"The bytes of {file.path!r} are missing; restore {key} in the bucket.", file=file.path
        ) from error


def _verified(body: BinaryIO, file: ManifestFile) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    left = file.size
    held = b""
    while block := body.read(BLOCK):
        hasher.update(block)
        left -= len(block)
        if held:
            yield held
        held = block
    if left or hasher.hexdigest() != file.sha256:
        raise Damaged(f"The stored bytes of {file.path!r} are not the ones that were registered.", file=file.path)
    if held:
        yield held


def manifest_of(store: RegistryStore, digest: str) -> Manifest:
    with store.transaction() as tx:
        return tx.models.manifest(digest)
