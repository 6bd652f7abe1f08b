"""The members of a zip, stored or deflated, with zip64 and data descriptors.

Every byte of the archive has to belong to exactly one member, in the order of the directory: what other
readers could find in a gap, in an overlap or in a local header that disagrees is refused.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, cast

from service.exports.archive_limits import Ledger, Limits, Member, check_ratio
from service.exports.archive_names import damaged, is_junk, refused
from service.exports.archive_streams import PIECE, Body, Feed, Stream
from service.exports.archive_zip_directory import (
    FULL32,
    Directory,
    Entry,
    entries,
    extra_fields,
    find_directory,
    zip64_sizes,
)

_LOCAL = Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\3\4"
_DESCRIPTOR_MAGIC = b"PK\7\b"
_LONGEST_DESCRIPTOR = 24
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR = 0x0008
_KNOWN_FLAGS = 0x0002 | 0x0004 | _DESCRIPTOR | 0x0800  # two of deflate's level, one of UTF-8 names
_HOSTS_WITH_BACKSLASHES = (0, 10, 11, 14)  # DOS, NTFS, MVS, VFAT
_STEP = 1 << 16


def read_zip(source: BinaryIO, size: int, limits: Limits) -> Iterator[tuple[Member, BinaryIO]]:
    """Yields the files of the zip in `source`, each with its bytes; see `archive.read_members`."""
    directory = find_directory(source, size, limits)
    feed = Feed(source, 0, directory.start)
    ledger = Ledger(limits)
    unpacked = packed = 0
    for entry, end in _with_ends(source, directory):
        folder = _check_kind(entry)
        path = ledger.admit(entry.name, entry.size, folder=folder)
        unpacked += entry.size
        packed += entry.packed
        # Alone and in sum: incompressible members must not pay for a bomb among them.
        check_ratio(limits, entry.size, entry.packed, entry.told)
        check_ratio(limits, unpacked, packed, entry.told)
        _check_local(feed, entry, end)
        content = _Content(feed, entry)
        body = Body(content.pull, entry.size)
        if not folder and not is_junk(path):
            # A Body reads as a BinaryIO does; typeshed only calls the concrete classes of `io` so.
            yield Member(path, entry.size), cast(BinaryIO, body)
        body.drain()
        content.verify()
        _check_descriptor(feed, entry, end)


def _with_ends(source: BinaryIO, directory: Directory) -> Iterator[tuple[Entry, int]]:
    """Each entry with the offset at which the next one, or the directory, begins."""
    previous: Entry | None = None
    for entry in entries(source, directory):
        if previous:
            yield previous, entry.offset
        elif entry.offset:
            raise damaged("has other data before its first member")
        previous = entry
    if previous:
        yield previous, directory.start
    elif directory.start:
        raise damaged("has data that belongs to no member")


def _check_kind(entry: Entry) -> bool:
    """Whether the entry is a folder; refuses what is neither file nor folder, or cannot be unpacked."""
    kind = stat.S_IFMT(entry.mode)
    folder = entry.name.endswith(b"/")
    if kind == stat.S_IFLNK:
        raise refused(entry.told, "is a symbolic link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise refused(entry.told, "is neither a regular file nor a folder")
    if kind == stat.S_IFDIR and not folder:
        raise refused(entry.told, "is a folder by its type but a file by its name")
    if folder and entry.size:
        raise refused(entry.told, "is a folder with content")
    if b"\\" in entry.name and entry.host in _HOSTS_WITH_BACKSLASHES:
        raise refused(entry.told, "has backslashes between its folders; pack it again as tar.gz")
    if entry.flags & _ENCRYPTED:
        raise refused(entry.told, "is encrypted")
    if entry.flags & ~_KNOWN_FLAGS:
        raise refused(entry.told, "uses a feature of zip that is not supported")
    if entry.method not in (_STORED, _DEFLATED):
        raise refused(entry.told, f"is packed with method {entry.method}; only deflate is supported")
    if entry.method == _STORED and entry.size != entry.packed:
        raise refused(entry.told, "lies about its size")
    return folder


def _check_local(feed: Feed, entry: Entry, end: int) -> None:
    """Reads the local header, which must agree with the directory.

    It is next in `feed`: the first entry is at 0, and `_check_descriptor` left no gap before this one.
    """
    head = feed.take(_LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != _LOCAL_MAGIC:
        raise refused(entry.told, "has no local header")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(head)
    if method != entry.method or (flags ^ entry.flags) & (_ENCRYPTED | _DESCRIPTOR):
        raise _disagrees(entry, "method")
    if feed.take(name_length) != entry.name:
        raise _disagrees(entry, "name")
    wide = zip64_sizes(extra_fields(feed.exactly(extra_length, entry.told), entry.name))
    if wide:
        size = wide[0] if size == FULL32 else size
        packed = wide[1] if packed == FULL32 else packed
    # A streaming writer did not know them yet and left them out, or some of them.
    unknown = (0,) if flags & _DESCRIPTOR else ()
    if crc not in (entry.crc, *unknown):
        raise _disagrees(entry, "checksum")
    if size not in (entry.size, *unknown) or packed not in (entry.packed, *unknown):
        raise _disagrees(entry, "size")
    if feed.position + entry.packed > end:
        raise refused(entry.told, "overlaps what comes after it")


def _check_descriptor(feed: Feed, entry: Entry, end: int) -> None:
    """Reads what lies between the bytes of the member and the next one: its data descriptor, or nothing."""
    gap = end - feed.position
    if gap > (_LONGEST_DESCRIPTOR if entry.flags & _DESCRIPTOR else 0):
        raise refused(entry.told, "is followed by data that belongs to no member")
    if not entry.flags & _DESCRIPTOR:
        return
    rest = feed.take(gap)
    crc = entry.crc.to_bytes(4, "little")
    for width in (4, 8):
        if max(entry.packed, entry.size) >= 1 << 8 * width:
            continue
        sizes = entry.packed.to_bytes(width, "little") + entry.size.to_bytes(width, "little")
        # Its signature is optional, and whether the sizes are wide is written nowhere.
        if rest in (crc + sizes, _DESCRIPTOR_MAGIC + crc + sizes):
            return
    raise _disagrees(entry, "data descriptor")


def _disagrees(entry: Entry, what: str) -> Exception:
    return refused(entry.told, f"has a {what} in its local header that the central directory contradicts")


class _Content(Stream):
    """The bytes of one member, unpacked and checked against its size and CRC."""

    def __init__(self, feed: Feed, entry: Entry) -> None:
        super().__init__()
        self._feed = feed
        self._entry = entry
        self._left = entry.packed
        self._produced = 0
        self._crc = 0
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == _DEFLATED else None

    def pull(self, count: int) -> bytes:
        """The next `count` bytes of the member; raises ArchiveRefused when there are fewer."""
        data = self.take(count)
        if len(data) < count:
            raise refused(self._entry.told, "lies about its size: it unpacks to less")
        return data

    def verify(self) -> None:
        """Checks, once all bytes were pulled, that no more follow and that their CRC is right."""
        self.some(1)
        if self._left or (self._inflate and (not self._inflate.eof or self._inflate.unused_data)):
            raise refused(self._entry.told, "is damaged: its packed bytes do not end where they should")
        if self._crc != self._entry.crc:
            raise refused(self._entry.told, "is damaged: its bytes do not have the checksum it was given")

    def _refill(self) -> bytes:
        piece = self._packed(PIECE) if self._inflate is None else self._unpacked(self._inflate)
        self._produced += len(piece)
        if self._produced > self._entry.size:
            raise refused(self._entry.told, "lies about its size: it unpacks to more")
        self._crc = zlib.crc32(piece, self._crc)
        return piece

    def _unpacked(self, inflate: zlib._Decompress) -> bytes:
        while not inflate.eof:
            data = inflate.unconsumed_tail or self._packed(_STEP)
            try:
                piece = inflate.decompress(data, PIECE)
            except zlib.error:
                raise refused(self._entry.told, "is damaged: it cannot be unpacked") from None
            if piece:
                return piece
            if not data:
                break
        return b""

    def _packed(self, most: int) -> bytes:
        data = self._feed.some(min(most, self._left)) if self._left else b""
        self._left -= len(data)
        return data
