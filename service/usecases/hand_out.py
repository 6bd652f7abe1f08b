"""Hand out the version of a stage: its description, its files, its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from service.domain.environment import Assignment
from service.domain.errors import Damaged, NotFound
from service.domain.layout import version_prefix
from service.domain.model import Manifest, ManifestFile, ModelVersion
from service.usecases.ports import ObjectStore, RegistryStore

BLOCK = 1024 * 1024


def resolve_stage(store: RegistryStore, environment: str, model: str, stage: str) -> tuple[Assignment, ModelVersion]:
    """What the stage hands out now. Raises NotFound for whatever part of the address leads nowhere."""
    with store.transaction() as tx:
        return tx.stages.current(environment, model, stage)


@dataclass(frozen=True)
class FileLink:
    file: ManifestFile
    url: str


def file_links(store: RegistryStore, objects: ObjectStore, digest: str, seconds: int) -> list[FileLink]:
    """Each file of a version with a URL that is good for `seconds`."""
    manifest = manifest_of(store, digest)
    prefix = version_prefix(digest)
    return [
        FileLink(file, objects.presign(prefix + file.path, seconds, file.path.rpartition("/")[2]))
        for file in manifest.files
    ]


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
