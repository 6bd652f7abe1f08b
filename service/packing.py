"""An export on a local disk as bytes to send: an archive as it is, a folder as a tar that is never written."""

from __future__ import annotations

import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

END = b"\0" * (2 * tarfile.BLOCKSIZE)


class PackingError(Exception):
    """The export cannot be read, or changed while it was."""


class Packed:
    """`size` bytes, of which any piece can be read, by several threads at once.

    The same files give the same bytes: a tar here holds no times and no owners.
    """

    def __init__(self, pieces: list[tuple[bytes | Path, int]]) -> None:
        self._pieces = pieces
        self._starts: list[int] = []
        self.size = 0
        for _, length in pieces:
            self._starts.append(self.size)
            self.size += length

    def read(self, offset: int, length: int) -> bytes:
        """Raises PackingError when a file is shorter than it was, or cannot be read."""
        found = []
        at = bisect_right(self._starts, offset) - 1
        while length:
            piece, size = self._pieces[at]
            inner = offset - self._starts[at]
            wanted = min(length, size - inner)
            found.append(piece[inner : inner + wanted] if isinstance(piece, bytes) else _part(piece, inner, wanted))
            offset += wanted
            length -= wanted
            at += 1
        return b"".join(found)


def pack(source: Path) -> Packed:
    """Raises PackingError for what is neither an archive nor a folder with regular files alone."""
    if source.is_file():
        return Packed([(source, source.stat().st_size)])
    pieces: list[tuple[bytes | Path, int]] = []
    for path in sorted(_files(source)):
        size = path.stat().st_size
        header = _header(path.relative_to(source).as_posix(), size)
        padding = b"\0" * (-size % tarfile.BLOCKSIZE)
        pieces += [(header, len(header)), (path, size), (padding, len(padding))]
    if not pieces:
        raise PackingError(f"{source} holds no files.")
    # Without empty ones an offset has one piece only.
    return Packed([(piece, length) for piece, length in (*pieces, (END, len(END))) if length])


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        for path in (Path(place, name) for name in (*folders, *names)):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise PackingError(f"{path} is a link or no regular file.")
            if path.is_file():
                yield path


def _unreadable(error: OSError) -> None:
    raise PackingError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _part(path: Path, offset: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        raise PackingError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) < length:
        raise PackingError(f"{path} became shorter while it was read.")
    return data
