"""A version's files as one tar: the same digest gives the same bytes, and its size is known before the first."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from service.domain.model import ManifestFile
from service.usecases.hand_out import manifest_of, verified_file
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import RegistryStore

END = b"\0" * (2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class VersionArchive:
    """`blocks` raises Damaged, so that the connection breaks, rather than complete a tar of other bytes."""

    size: int
    blocks: Iterator[bytes]


def version_archive(store: RegistryStore, objects: ObjectStore, digest: str) -> VersionArchive:
    """Raises NotFound(kind="digest")."""
    manifest = manifest_of(store, digest)
    headers = [(_header(file), file) for file in manifest.files]
    size = sum(len(header) + _padded(file.size) for header, file in headers) + len(END)
    return VersionArchive(size, _blocks(objects, digest, headers))


def _blocks(objects: ObjectStore, digest: str, headers: list[tuple[bytes, ManifestFile]]) -> Iterator[bytes]:
    for header, file in headers:
        yield header
        with verified_file(objects, digest, file) as blocks:
            yield from blocks
        yield b"\0" * (_padded(file.size) - file.size)
    yield END


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _header(file: ManifestFile) -> bytes:
    """Nothing but path and size: no owner, no time, so that equal files give equal bytes."""
    info = tarfile.TarInfo(file.path)
    info.size = file.size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
