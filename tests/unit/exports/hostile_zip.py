"""Builds zip archives byte by byte; see `hostile`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import pack
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Zipped:
    """One zip member. What is None is worked out from `data`; `local_*` differ from the directory."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    host: int = 3
    mode: int = 0o100644
    packed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    disk: int = 0
    extra: bytes = b""
    comment: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_crc: int | None = None
    local_size: int | None = None
    local_packed: int | None = None
    local_extra: bytes = b""
    local_magic: bytes = b"PK\3\4"
    descriptor: bytes = b""
    before: bytes = b""  # bytes in front of the local header that belong to nothing
    after: bytes = b""  # and behind the member

    def content(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data

    def true_crc(self) -> int:
        return zlib.crc32(self.data) if self.crc is None else self.crc

    def true_size(self) -> int:
        return len(self.data) if self.size is None else self.size

    def true_packed(self) -> int:
        return len(self.content()) if self.packed_size is None else self.packed_size

    def local(self) -> bytes:
        name = _either(self.local_name, self.name)
        fields = pack(
            "<5H3L2H",
            20,
            _either(self.local_flags, self.flags),
            _either(self.local_method, self.method),
            0,
            0x5821,
            _either(self.local_crc, self.true_crc()),
            _either(self.local_packed, self.true_packed()),
            _either(self.local_size, self.true_size()),
            len(name),
            len(self.local_extra),
        )
        return self.local_magic + fields + name + self.local_extra + self.content() + self.descriptor

    def central(self, offset: int) -> bytes:
        fields = pack(
            "<4B4H3L5H2L",
            20,
            self.host,
            20,
            0,
            self.flags,
            self.method,
            0,
            0x5821,
            self.true_crc(),
            self.true_packed(),
            self.true_size(),
            len(self.name),
            len(self.extra),
            len(self.comment),
            self.disk,
            0,
            self.mode << 16,
            _either(self.offset, offset),
        )
        return b"PK\1\2" + fields + self.name + self.extra + self.comment


def _either(first: T | None, second: T) -> T:
    return second if first is None else first


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(
    *members: Zipped,
    prefix: bytes = b"",
    gap: bytes = b"",
    comment: bytes = b"",
    count: int | None = None,
    length: int | None = None,
    offset: int | None = None,
    disk: int = 0,
    first_disk: int = 0,
    here: int | None = None,
    between: bytes = b"",
    suffix: bytes = b"",
) -> bytes:
    """A zip of `members`: `gap` is put before the directory, `between` after it, `suffix` at the end."""
    body, directory = prefix, b""
    for member in members:
        body += member.before
        directory += member.central(len(body))
        body += member.local() + member.after
    body += gap
    start, entries = _either(offset, len(body)), _either(count, len(members))
    end = pack(
        "<4H2LH",
        disk,
        first_disk,
        _either(here, entries),
        entries,
        _either(length, len(directory)),
        start,
        len(comment),
    )
    return body + directory + between + b"PK\5\6" + end + comment + suffix


def descriptor(crc: int, packed: int, size: int) -> bytes:
    """A data descriptor with its signature."""
    return b"PK\7\b" + pack("<LLL", crc, packed, size)


def zip64_extra(*values: int) -> bytes:
    return pack("<HH", 1, 8 * len(values)) + b"".join(pack("<Q", value) for value in values)


def zip64_end(
    directory: int,
    length: int,
    count: int,
    *,
    magic: bytes = b"PK\6\6",
    rest: int = 44,
    disk: int = 0,
    first_disk: int = 0,
    here: int | None = None,
    locator_disk: int = 0,
    at: int | None = None,
    disks: int = 1,
) -> bytes:
    """The zip64 end record and its locator, for a directory of `length` bytes at offset `directory`."""
    end = magic + pack("<QHHLL4Q", rest, 45, 45, disk, first_disk, _either(here, count), count, length, directory)
    return end + b"PK\6\7" + pack("<LQL", locator_disk, _either(at, directory + length), disks)
