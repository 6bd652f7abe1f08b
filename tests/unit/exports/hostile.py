"""Builds archives byte by byte, so that a test can make each of them wrong in exactly one way.

Nothing here is shared with the reader under test: two readings of one mistake would agree.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import pack

import zstandard

from service.domain.errors import ArchiveRefused, RegistryError
from service.exports.archive import Limits, read_members

Found = list[tuple[str, int, bytes]]

TAR_END = bytes(1024)
GNU_MAGIC = b"ustar  \0"
POSIX_MAGIC = b"ustar\x0000"
OLD_MAGIC = bytes(8)


@dataclass(frozen=True)
class Case:
    """One archive that has to be refused: for the reason in `words`, naming `member` if there is one."""

    id: str
    archive: bytes
    words: str
    member: str | None = None
    error: type[RegistryError] = ArchiveRefused
    limits: Limits = field(default_factory=Limits)


def read_all(archive: bytes, limits: Limits | None = None) -> Found:
    """Path, size and bytes of every member, in the order of the archive."""
    members = read_members(io.BytesIO(archive), len(archive), limits or Limits())
    return [(member.path, member.size, stream.read()) for member, stream in members]


def skip_all(archive: bytes, limits: Limits | None = None) -> list[tuple[str, int]]:
    """Path and size of every member, without reading any bytes."""
    members = read_members(io.BytesIO(archive), len(archive), limits or Limits())
    return [(member.path, member.size) for member, _ in members]


# --- tar


def header(
    name: bytes,
    size: int = 0,
    kind: bytes = b"0",
    *,
    link: bytes = b"",
    prefix: bytes = b"",
    magic: bytes = POSIX_MAGIC,
    size_field: bytes | None = None,
    checksum: bytes | None = None,
) -> bytes:
    """One 512-byte header with a right checksum, unless another is given."""
    before = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
    if size_field is None:  # beyond 8 GiB as a binary number
        size_field = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    before += size_field
    before += b"14000000000\0"
    after = kind + link.ljust(100, b"\0") + magic + bytes(80) + prefix.ljust(167, b"\0")
    assert len(before) == 148
    assert len(after) == 356
    if checksum is None:
        checksum = b"%06o\0 " % (sum(before) + sum(after) + 8 * 0x20)
    return before + checksum + after


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def entry(name: bytes, data: bytes = b"", kind: bytes = b"0", *, link: bytes = b"") -> bytes:
    """A member with its data, as far as its name fits into the header."""
    return header(name, len(data), kind, link=link) + padded(data)


def record(keyword: bytes, value: bytes) -> bytes:
    """One pax record; its length counts its own digits."""
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    return entry(b"PaxHeaders/x", b"".join(record(*pair) for pair in records), kind)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return entry(b"././@LongLink", name + b"\0", kind)


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + TAR_END


# --- compression


def plain(data: bytes) -> bytes:
    return data


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"tar": plain, "tar.gz": gz, "tar.zst": zst}


def rle_frame(total: int, head: bytes = b"", *, last: bool = True) -> bytes:
    """A zstd frame of `head` and `total` zeros, these in blocks of 128 KiB and four bytes: 32,768 to 1."""
    first = pack("<I", len(head) << 3)[:3] + head
    blocks = (pack("<I", (1 << 17) << 3 | 1 << 1)[:3] + b"\0") * (total >> 17)
    end = pack("<I", 1)[:3] if last else b""
    return b"\x28\xb5\x2f\xfd\x00\x58" + first + blocks + end


def skippable(data: bytes) -> bytes:
    return pack("<II", 0x184D2A50, len(data)) + data
