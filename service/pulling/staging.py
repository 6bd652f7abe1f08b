"""Files on their way: written below a folder of their own, hashed as they come, never looked at by a server."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from service.pulling.manifest import File, Manifest, folded, places

BLOCK = 1024 * 1024
LARGE = 8 * BLOCK
"""From this size on a file gets a thread of its own for its digest."""
BLOCKS_WAITING = 3
FILE_MODE = 0o444
FOLDER_MODE = 0o755


class Partial:
    """One file, open for writing behind the bytes that are there. `beside`: a thread that writes and hashes, in order,
    while the next bytes come."""

    def __init__(self, raw: BinaryIO, beside: Executor | None) -> None:
        self._raw = raw
        self._beside = beside
        self._waiting: deque[Future[None]] = deque()
        self._hasher = hashlib.sha256()
        self.size = 0

    def resume(self, limit: int) -> None:
        """Take what is there for granted as far as `limit`; the digest at the end tells whether it was right."""
        for block in _blocks(self._raw):
            self._hasher.update(block)
            self.size += len(block)
        if self.size > limit:
            self.restart()

    def restart(self) -> None:
        self._wait(0)
        self._raw.seek(0)
        self._raw.truncate()
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes | memoryview) -> None:
        """The block may be used again afterwards."""
        if self._beside is None:
            self._take(block)
        else:
            self._waiting.append(self._beside.submit(self._take, bytes(block)))
            self._wait(BLOCKS_WAITING)
        self.size += len(block)

    def is_all_of(self, file: File) -> bool:
        self._wait(0)
        return (self.size, self._hasher.hexdigest()) == (file.size, file.sha256)

    def _take(self, block: bytes | memoryview) -> None:
        left = memoryview(block)
        while left:  # a disk that is almost full takes only a part
            left = left[self._raw.write(left) :]
        self._hasher.update(block)

    def _wait(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()


@contextmanager
def partial(folder: Path, file: File) -> Iterator[Partial]:
    """What is there of `file` below `folder`; on the disk, if it is complete by the end of the block."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    # A complete one cannot be written to; it is only read here, unless it turns out to be another one.
    if path.exists() and not os.access(path, os.W_OK):
        path.chmod(0o600)
    with ExitStack() as stack:
        raw = stack.enter_context(
            open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", buffering=0)
        )
        beside = stack.enter_context(ThreadPoolExecutor(1)) if file.size >= LARGE else None
        one = Partial(raw, beside)
        one.resume(file.size)
        yield one
        if one.is_all_of(file):
            os.fchmod(raw.fileno(), FILE_MODE)
            os.fsync(raw.fileno())


def settle(folder: Path, manifest: Manifest) -> None:
    """The folder holds the manifest's files and nothing else, and its folders are on the disk."""
    wanted = {file.path for file in manifest.files}
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()
        for name in folders:
            path = Path(place, name)
            if path.is_symlink():
                path.unlink()
            elif not any(path.iterdir()):
                path.rmdir()
        Path(place).chmod(FOLDER_MODE)
        sync_folder(Path(place))


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_intact(folder: Path, file: File) -> bool:
    """Whether the bytes of a placed file are those of the manifest."""
    path = folder / file.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != file.size:
        return False
    hasher = hashlib.sha256()
    with path.open("rb") as raw:
        for block in _blocks(raw):
            hasher.update(block)
    return hasher.hexdigest() == file.sha256


def holds_nothing_else(folder: Path, manifest: Manifest) -> bool:
    """Whether just the manifest's files and their folders are there, by name; links count as what they are."""
    wanted = places(manifest.files)
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        found = {(below / name).as_posix() for name in (*folders, *names)}
        if not found <= wanted:
            return False
        wanted -= found
    return not wanted


def keeps_apart(folder: Path, manifest: Manifest) -> bool:
    """Whether the file system below `folder` can hold all of these names at once."""
    names = places(manifest.files)
    if len(folded(names)) == len(names):
        return True
    probe = folder / ".Case"
    probe.touch()
    try:
        return not (folder / ".cASE").exists()
    finally:
        probe.unlink()


def _blocks(raw: BinaryIO) -> Iterator[bytes]:
    while block := raw.read(BLOCK):
        yield block
