"""Store the archive's files: small ones many at a time, large ones as a stream; each is hashed again on the way."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from service.domain.errors import ArchiveRefused
from service.exports.archive import Member
from service.usecases.import_plan import Target
from service.usecases.object_ports import ObjectStore

SMALL = 4 * 1024 * 1024
THREADS = 8
IN_FLIGHT = 16
"""Small files held in memory at once: at most IN_FLIGHT x SMALL = 64 MiB."""


def store_artifacts(
    objects: ObjectStore,
    members: Iterable[tuple[Member, BinaryIO]],
    targets: Mapping[str, Target],
    on_bytes: Callable[[int], None],
) -> int:
    """Put every member that has targets under each of its keys, if any; answers with the number of files.

    Raises ArchiveRefused when a member's bytes are not the ones that were surveyed.
    """
    stored = 0
    count = 0
    with ThreadPoolExecutor(THREADS, thread_name_prefix="artifact") as pool:
        waiting: deque[Future[None]] = deque()
        for member, stream in members:
            target = targets.get(member.path)
            if target is None:
                continue
            if not target.keys:
                pass  # it is there already
            elif member.size <= SMALL:
                waiting.append(pool.submit(_put_small, objects, member.path, stream.read(), target))
            else:
                _put_large(objects, member.path, stream, target)
            count += 1
            stored += member.size
            while len(waiting) >= IN_FLIGHT:
                waiting.popleft().result()
            on_bytes(stored)
        while waiting:
            waiting.popleft().result()
    return count


def _put_small(objects: ObjectStore, name: str, data: bytes, target: Target) -> None:
    _check(name, hashlib.sha256(data).hexdigest(), target)
    for key in target.keys:
        objects.put(key, io.BytesIO(data), len(data))


def _put_large(objects: ObjectStore, name: str, stream: BinaryIO, target: Target) -> None:
    first, *others = target.keys
    reader = _Hashing(stream, name, target)
    objects.put(first, reader, target.size)  # type: ignore[arg-type]  # all a put needs is read()
    for key in others:
        objects.copy(first, key)


def _check(name: str, found: str, target: Target) -> None:
    if found != target.sha256:
        raise ArchiveRefused("The file's bytes changed between two readings of the archive.", member=name)


class _Hashing:
    """Hashes what is read, and refuses to give the last block of other bytes than those surveyed."""

    def __init__(self, stream: BinaryIO, name: str, target: Target) -> None:
        self._stream = stream
        self._name = name
        self._target = target
        self._hasher = hashlib.sha256()
        self._left = target.size

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._hasher.update(block)
        self._left -= len(block)
        if not self._left and block:
            _check(self._name, self._hasher.hexdigest(), self._target)
        return block
