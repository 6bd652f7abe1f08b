"""Hand out versions: the description of a stage's, and the bytes of any that the caller may read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.audit import Change
from service.domain.environment import Assignment, Place
from service.domain.errors import Damaged, NotFound
from service.domain.identity import ADMIN, Principal
from service.domain.layout import version_prefix
from service.domain.model import Manifest, ManifestFile, ModelVersion
from service.domain.refusals import no_version
from service.usecases.mark_damage import mark_damage
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record
from service.usecases.record_reads import Reads
from service.usecases.resolve import may_read
from service.usecases.verified_bytes import file_bytes
from service.usecases.version_archive import VersionTar

REMEDY = "Restore it in the bucket or import its version again, then `model-registry scrub` takes the mark away."


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
    """What the stage hands out now, to somebody: recorded if it is one of the sample.

    Raises NotFound for whatever part of the address leads nowhere.
    """
    with store.transaction() as tx:
        found = tx.stages.current(environment, model, stage)
        reads.record(tx, clock, _change(action, by, _of(*found)))
        return found


@dataclass(frozen=True)
class Source:
    """Whose bytes: a digest, with the version and the place by which they were asked for, if they were."""

    digest: str
    model: str = ""
    version: int = 0
    environment: str = ""
    stage: str = ""


Find = Callable[[Transaction, Principal], Source]
"""Raises NotFound for what is not there, and in the same words for what the caller may not read."""


def by_stage(place: Place) -> Find:
    return lambda tx, by: _of(*tx.stages.current(*place))


def by_version(model: str, version: int) -> Find:
    """Of a version that is in a stage which the caller may read."""

    def find(tx: Transaction, by: Principal) -> Source:
        found = tx.models.version(model, version)
        if not _is_open(tx, by, model, version):
            raise no_version(model, version)
        return Source(found.digest, model, version)

    return find


def by_digest(digest: str) -> Find:
    """Of bytes that a version has which is in a stage that the caller may read."""

    def find(tx: Transaction, by: Principal) -> Source:
        if not any(_is_open(tx, by, *version) for version in tx.checks.versions(digest)):
            raise NotFound("digest", digest)
        return Source(digest)

    return find


def _is_open(tx: Transaction, by: Principal, model: str, version: int) -> bool:
    return by.may(ADMIN) or any(may_read(by, place.environment) for place in tx.stages.holding(model, version))


def _of(assignment: Assignment, version: ModelVersion) -> Source:
    return Source(version.digest, version.model, version.version, assignment.environment, assignment.stage)


def _change(action: str, by: Principal, source: Source, told: Mapping[str, Any] | None = None) -> Change:
    return Change(
        action,
        by,
        environment=source.environment,
        model=source.model,
        subject=source.stage or source.digest,
        after={"version": source.version, "digest": source.digest, **(told or {})},
    )


@dataclass(frozen=True)
class FileLink:
    file: ManifestFile
    url: str


@dataclass(frozen=True)
class WholeTar:
    """`sha256` of all of it as hex, '' until it has been made once."""

    digest: str
    size: int
    sha256: str
    _bytes: HandOutBytes
    _tar: VersionTar

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """As `VersionTar.blocks`; what is found to be damaged is marked."""
        blocks = self._tar.blocks(self._bytes.objects, start, stop)
        if not self.sha256 and (start, stop) == (0, self.size):
            blocks = self._remembered(blocks)
        return self._bytes.marking(self.digest, blocks)

    def _remembered(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        for block in blocks:
            hasher.update(block)
            yield block
        with self._bytes.store.transaction() as tx:
            tx.tars.keep(self.digest, hasher.hexdigest())


@dataclass(frozen=True)
class HandOutBytes:
    """Every way to the bytes of a digest. All but the manifest raise Damaged for one that is marked."""

    store: RegistryStore
    objects: ObjectStore
    clock: Clock
    reads: Reads

    def manifest(self, by: Principal, find: Find) -> tuple[Source, Manifest]:
        with self.store.transaction() as tx:
            source = find(tx, by)
            self.reads.record(tx, self.clock, _change("manifest.read", by, source))
            return source, tx.models.manifest(source.digest)

    def links(self, by: Principal, find: Find, seconds: int, path: str = "") -> tuple[Source, list[FileLink]]:
        """Each file, or the one of that path, with a URL that is good for `seconds`; recorded before it is told."""
        with self.store.transaction() as tx:
            source, manifest = self._sound(tx, by, find)
            files = [_file(manifest, path)] if path else list(manifest.files)
            told = {"files": len(files), "expires_in": seconds}
            record(tx, _change("files.handed_out", by, source, told), self.clock())
        prefix = version_prefix(source.digest)
        return source, [
            FileLink(file, self.objects.presign(prefix + file.path, seconds, file.path.rpartition("/")[2]))
            for file in files
        ]

    def file(self, by: Principal, find: Find, path: str) -> tuple[Source, ManifestFile]:
        """Raises NotFound(kind="file")."""
        with self.store.transaction() as tx:
            source, manifest = self._sound(tx, by, find)
            self.reads.record(tx, self.clock, _change("file.read", by, source, {"path": path}))
            return source, _file(manifest, path)

    def file_blocks(self, digest: str, file: ManifestFile, start: int, stop: int) -> Iterator[bytes]:
        """As `file_bytes`; what is found to be damaged is marked."""
        return self.marking(digest, file_bytes(self.objects, digest, file, start, stop))

    def tar(self, by: Principal, find: Find) -> tuple[Source, WholeTar]:
        with self.store.transaction() as tx:
            source, manifest = self._sound(tx, by, find)
            self.reads.record(tx, self.clock, _change("archive.read", by, source))
            sha256 = tx.tars.sha256(source.digest)
        tar = VersionTar(manifest)
        return source, WholeTar(source.digest, tar.size, sha256, self, tar)

    def _sound(self, tx: Transaction, by: Principal, find: Find) -> tuple[Source, Manifest]:
        source = find(tx, by)
        marked = tx.damages.of(source.digest)
        if marked:
            raise Damaged(f"{marked[0].reason} {REMEDY}", file=marked[0].path, digest=source.digest)
        return source, tx.models.manifest(source.digest)

    def marking(self, digest: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from blocks
        except Damaged as error:
            path = str(error.where["file"])
            with self.store.transaction() as tx:
                mark_damage(tx, digest, path, error.detail, self.clock())
            raise Damaged(f"{error.detail} {REMEDY}", file=path, digest=digest) from error


def _file(manifest: Manifest, path: str) -> ManifestFile:
    found = manifest.file(path)
    if found is None:
        raise NotFound("file", path)
    return found
