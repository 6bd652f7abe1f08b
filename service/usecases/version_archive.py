"""A version's files as one tar: the same digest gives the same bytes, whole or any part of them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

from service.domain.model import Manifest, ManifestFile
from service.usecases.object_ports import ObjectStore
from service.usecases.verified_bytes import BLOCK, file_bytes

END = b"\0" * (2 * tarfile.BLOCKSIZE)
SMALL = 256 * 1024
"""Files up to this size are read AHEAD of their turn, since asking for each takes longer than its bytes."""
AHEAD = 8
THREADS = 4


@dataclass(frozen=True)
class Member:
    """`begin` is where its header begins in the tar."""

    file: ManifestFile
    header: bytes
    begin: int

    @property
    def body(self) -> int:
        return self.begin + len(self.header)


class VersionTar:
    """Members in the order of their paths, with nothing but path and size in their headers."""

    def __init__(self, manifest: Manifest) -> None:
        headers = [_header(file) for file in manifest.files]
        lengths = [len(header) + _padded(file.size) for header, file in zip(headers, manifest.files, strict=True)]
        begins = [0, *accumulate(lengths)]
        self._digest = manifest.digest
        self._members = [Member(*each) for each in zip(manifest.files, headers, begins, strict=False)]
        self._end = begins[-1]
        self.size = self._end + len(END)

    def blocks(self, objects: ObjectStore, start: int, stop: int) -> Iterator[bytes]:
        """Bytes from `start` up to, without, `stop`, pieces of at least BLOCK but for the last.

        Raises Damaged, before any block with the last byte of a file that is missing or another one.
        """
        return _gathered(self._pieces(objects, start, stop))

    def _pieces(self, objects: ObjectStore, start: int, stop: int) -> Iterator[bytes]:
        touched = [each for each in self._members if each.begin < stop and start < each.body + _padded(each.file.size)]
        for member, body in zip(touched, self._bodies(objects, touched, start, stop), strict=True):
            yield _cut(member.header, member.begin, start, stop)
            yield from body
            padding = b"\0" * (_padded(member.file.size) - member.file.size)
            yield _cut(padding, member.body + member.file.size, start, stop)
        yield _cut(END, self._end, start, stop)

    def _bodies(self, objects: ObjectStore, members: list[Member], start: int, stop: int) -> Iterator[Iterator[bytes]]:
        """What is wanted of each file; small ones are on their way while the one before is given."""
        coming: dict[int, Future[list[bytes]]] = {}
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tar")
        try:
            for number, member in enumerate(members):
                for ahead in range(number, min(number + AHEAD, len(members))):
                    if ahead not in coming and members[ahead].file.size <= SMALL:
                        coming[ahead] = pool.submit(self._whole, objects, members[ahead], start, stop)
                yield (
                    iter(coming.pop(number).result()) if number in coming else self._body(objects, member, start, stop)
                )
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _whole(self, objects: ObjectStore, member: Member, start: int, stop: int) -> list[bytes]:
        return list(self._body(objects, member, start, stop))

    def _body(self, objects: ObjectStore, member: Member, start: int, stop: int) -> Iterator[bytes]:
        size = member.file.size
        first, last = max(0, start - member.body), min(size, stop - member.body)
        if first < last or (not size and start <= member.body < stop):
            yield from file_bytes(objects, self._digest, member.file, first, last)


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def _cut(data: bytes, begin: int, start: int, stop: int) -> bytes:
    """What of the data, which begins there, lies in the range."""
    return data[max(0, start - begin) : max(0, stop - begin)]


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _header(file: ManifestFile) -> bytes:
    """No owner, no time, so that equal files give equal bytes."""
    info = tarfile.TarInfo(file.path)
    info.size = file.size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
