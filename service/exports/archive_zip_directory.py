"""The central directory of a zip, which says what the archive holds and where.

It is read in pieces and never kept, so a million members take no more memory than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO

from service.domain.errors import ArchiveRefused, TooLarge
from service.exports.archive_limits import Limits
from service.exports.archive_names import damaged, refused, shown
from service.exports.archive_streams import Feed

_END = Struct("<4s4H2LH")
_END_MAGIC = b"PK\5\6"
_LONGEST_COMMENT = 0xFFFF
_LOCATOR = Struct("<4sLQL")
_LOCATOR_MAGIC = b"PK\6\7"
_END64 = Struct("<4sQ2H2L4Q")
_END64_MAGIC = b"PK\6\6"
_END64_REST = _END64.size - 12  # the record's own length field does not count what is before it
_ENTRY = Struct("<4s4B4H3L5H2L")
_ENTRY_MAGIC = b"PK\1\2"
_ZIP64 = 1
_UNICODE_PATH = 0x7075
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF  # "see the zip64 field"


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies in the object, in bytes, and how many entries it has."""

    start: int
    end: int
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as the central directory describes it; sizes, CRC and offset are authoritative."""

    name: bytes
    host: int  # the system it was packed on: 0 is DOS, 3 Unix
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int  # st_mode of the file, 0 where the host has none

    @property
    def told(self) -> str:
        return shown(self.name)


def find_directory(source: BinaryIO, size: int, limits: Limits) -> Directory:
    """Locates the central directory from the end of the object.

    Raises:
        ArchiveRefused: its end is missing or ambiguous, or it is not all that precedes the end records.
        TooLarge: it has too many entries.
    """
    start = max(0, size - _END.size - _LONGEST_COMMENT - _LOCATOR.size - _END64.size)
    tail = Feed(source, start, size).exactly(size - start)
    at = _find_end(tail)
    _, disk, first_disk, here, count, length, offset, _ = _END.unpack_from(tail, at)
    end = start + at
    if disk or first_disk or here != count:
        raise damaged("is one part of a zip in several parts")
    if tail[max(0, at - _LOCATOR.size) : at].startswith(_LOCATOR_MAGIC):
        narrow = (count, length, offset)
        end, count, length, offset = _read_end64(tail, at, start)
        for told, true, full in zip(narrow, (count, length, offset), (FULL16, FULL32, FULL32), strict=True):
            if told not in (true, full):
                raise damaged("contradicts itself in the two end records of the zip")
    if count > limits.members:
        raise TooLarge(f"The archive has {count} members, more than {limits.members}.")
    if offset + length != end:
        raise damaged("has data between or before the parts of the zip, or is truncated")
    return Directory(start=offset, end=end, count=count)


def _find_end(tail: bytes) -> int:
    """Where in `tail` the end record is: the only one whose comment reaches exactly to the end."""
    at = tail.rfind(_END_MAGIC)
    if at < 0:
        raise damaged("is truncated: it ends early, without the central directory of a zip")
    found = []
    position = at
    while position >= 0:
        if len(tail) - position >= _END.size:
            comment = int.from_bytes(tail[position + _END.size - 2 : position + _END.size], "little")
            if position + _END.size + comment == len(tail):
                found.append(position)
        position = tail.rfind(_END_MAGIC, 0, position)
    if found != [at]:
        raise damaged("is truncated, or has other data after the end of the zip")
    return at


def _read_end64(tail: bytes, at: int, start: int) -> tuple[int, int, int, int]:
    """The zip64 end record before the end record at `at`: its offset, count, length and offset."""
    _, disk, offset, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
    position = at - _LOCATOR.size - _END64.size
    if start + position != offset or disk or disks > 1:
        raise damaged("has a zip64 end record that is not where it says")
    magic, rest, _, _, disk, first_disk, here, count, length, first = _END64.unpack_from(tail, position)
    if magic != _END64_MAGIC or rest != _END64_REST or disk or first_disk or here != count:
        raise damaged("has a zip64 end record that cannot be")
    return offset, count, length, first


def entries(source: BinaryIO, directory: Directory) -> Iterator[Entry]:
    """The entries in the order of the directory; its count and length are verified at its end."""
    feed = Feed(source, directory.start, directory.end)
    for _ in range(directory.count):
        yield _entry(feed)
    if feed.take(1):
        raise damaged("has more in its central directory than it counts")


def _entry(feed: Feed) -> Entry:
    head = feed.take(_ENTRY.size)
    if len(head) < _ENTRY.size or head[:4] != _ENTRY_MAGIC:
        raise damaged("has fewer entries in its central directory than it counts")
    (_, _, host, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length,
     disk, _, attributes, offset) = _ENTRY.unpack(head)  # fmt: skip
    name = feed.exactly(name_length)
    fields = extra_fields(feed.exactly(extra_length), name)
    feed.exactly(comment_length)
    wide = fields.get(_ZIP64, b"")
    narrow = [(size, FULL32, 8), (packed, FULL32, 8), (offset, FULL32, 8), (disk, FULL16, 4)]
    values = []
    for value, full, width in narrow:
        if value == full:
            if len(wide) < width:
                raise refused(shown(name), "lacks the zip64 field it refers to")
            value, wide = int.from_bytes(wide[:width], "little"), wide[width:]
        values.append(value)
    size, packed, offset, disk = values
    if disk:
        raise refused(shown(name), "lies in another part of the zip")
    return Entry(name, host, flags, method, crc, packed, size, offset, attributes >> 16)


def extra_fields(data: bytes, name: bytes) -> dict[int, bytes]:
    """The extra fields of the header of `name` by their id; up to three bytes of padding may follow them.

    Raises:
        ArchiveRefused: they are malformed, or give the member another name.
    """
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        key = int.from_bytes(data[at : at + 2], "little")
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "little")
        if end > len(data):
            raise _bad_extra(name)
        if key in fields and key == _ZIP64:
            raise _bad_extra(name)
        fields[key] = data[at + 4 : end]
        # Its first five bytes are a version and a checksum.
        if key == _UNICODE_PATH and fields[key][5:] != name:
            raise refused(shown(name), "has a second name in a Unicode field; pack it again as tar.gz")
        at = end
    return fields


def zip64_sizes(fields: dict[int, bytes]) -> tuple[int, int] | None:
    """The size and packed size in the zip64 field of a local header, which always has both."""
    wide = fields.get(_ZIP64, b"")
    if len(wide) < 16:
        return None
    return int.from_bytes(wide[:8], "little"), int.from_bytes(wide[8:16], "little")


def _bad_extra(name: bytes) -> ArchiveRefused:
    return refused(shown(name), "has malformed extra fields in its zip header")
