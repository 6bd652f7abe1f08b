"""The members of a tar: ustar, GNU and pax, as GNU tar, bsdtar, Python, Go and Java write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

from service.exports.archive_limits import Ledger, Limits, Member
from service.exports.archive_names import damaged, ends_early, is_junk, refused, shown
from service.exports.archive_streams import PIECE, Body, Stream
from service.exports.archive_tar_headers import (
    BLOCK,
    EMPTY,
    Header,
    changes_members,
    is_sparse,
    parse,
    pax_records,
    pax_size,
)

_FILE, _FOLDER = b"0", b"5"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_PADDING = 16 << 20  # zeros after the end; tar itself pads to a record, at most some MiB

_REFUSED = {
    b"1": "is a hard link",
    b"2": "is a symbolic link",
    b"3": "is a character device",
    b"4": "is a block device",
    b"6": "is a named pipe",
    b"S": "is a sparse file",
    b"D": "is a folder of an incremental backup",
    b"M": "continues a file from another volume",
    b"V": "is a volume label",
}


def read_tar(stream: Stream, limits: Limits) -> Iterator[tuple[Member, BinaryIO]]:
    """Yields the files of the tar in `stream`, each with its bytes; see `archive.read_members`."""
    ledger = Ledger(limits)
    headers = _Headers(stream, ledger)
    while entry := headers.following():
        path = ledger.admit(entry.name, entry.size, folder=entry.folder)
        if entry.folder:
            continue
        told = shown(entry.name)
        body = Body(partial(stream.exactly, inside=told), entry.size)
        if not is_junk(path):
            # A Body reads as a BinaryIO does; typeshed only calls the concrete classes of `io` so.
            yield Member(path, entry.size), cast(BinaryIO, body)
        body.drain()
        stream.exactly(-entry.size % BLOCK, inside=told)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member as all of its headers together describe it."""

    name: bytes
    size: int
    folder: bool


class _Headers:
    """Reads the header blocks between the members' bytes."""

    def __init__(self, stream: Stream, ledger: Ledger) -> None:
        self._stream = stream
        self._ledger = ledger
        self._after = ""

    def following(self) -> _Entry | None:
        """The next file or folder; None once the end of the archive has been verified."""
        extensions: dict[bytes, bytes] = {}
        while True:
            block = self._stream.take(BLOCK)
            if len(block) < BLOCK:
                raise damaged("is truncated: it ends early, without the two empty blocks", self._after)
            if block == EMPTY:
                if extensions:
                    raise damaged("ends with an extended header that belongs to no member", self._after)
                self._verify_end()
                return None
            header = parse(block, self._after)
            if header.kind not in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL):
                entry = self._entry(header, extensions)
                self._after = shown(entry.name)
                return entry
            if header.kind in extensions or (header.kind == _PAX_GLOBAL and extensions):
                raise damaged("has two extended headers of one kind in a row", self._after)
            data = self._extension(header)
            if header.kind != _PAX_GLOBAL:
                extensions[header.kind] = data
            elif changes_members(pax_records(data, self._after)):
                raise damaged("has a global pax header that renames or resizes members", self._after)

    def _extension(self, header: Header) -> bytes:
        self._ledger.header(header.size, self._after)
        padded = header.size + -header.size % BLOCK
        return self._stream.exactly(padded)[: header.size]

    def _entry(self, header: Header, extensions: dict[bytes, bytes]) -> _Entry:
        records = pax_records(extensions.get(_PAX, b""), self._after)
        name, size = header.name, header.size
        if _LONG_NAME in extensions:
            name = extensions[_LONG_NAME].rstrip(b"\0")
        if b"path" in records:
            name = records[b"path"]
        told = shown(name)
        if _LONG_NAME in extensions and b"path" in records:
            raise refused(told, "has two long names, of GNU and of pax")
        if is_sparse(records):
            raise refused(told, _REFUSED[b"S"])
        if header.kind not in (_FILE, _FOLDER):
            raise refused(told, _REFUSED.get(header.kind, "is neither a regular file nor a folder"))
        if _LONG_LINK in extensions or b"linkpath" in records:
            raise refused(told, "has the target of a link, but is none")
        if b"size" in records:
            size = pax_size(records[b"size"], name)
        # The old style has no type for folders, only the slash.
        folder = header.kind == _FOLDER or name.endswith(b"/")
        if folder and size:
            raise refused(told, "is a folder with content")
        return _Entry(name, size, folder)

    def _verify_end(self) -> None:
        """Reads on from the first empty block: a second one, then nothing but zeros."""
        if len(second := self._stream.take(BLOCK)) < BLOCK:
            raise ends_early()
        if second != EMPTY:
            raise damaged("has data after an empty tar block", self._after)
        padding = 0
        while piece := self._stream.some(PIECE):
            padding += len(piece)
            if piece.strip(b"\0") or padding > _PADDING:
                raise damaged("has data after the end of its tar", self._after)
