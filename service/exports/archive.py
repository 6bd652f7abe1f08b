"""Reads an uploaded archive as a stream of members, bounded and safe for hostile input.

Nothing is unpacked to a disk and nothing is held in memory beyond some MiB and a digest of each name.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import BinaryIO

from service.domain.errors import ArchiveRefused
from service.exports.archive_limits import Limits, Member
from service.exports.archive_streams import Feed, Gunzipped
from service.exports.archive_tar import read_tar
from service.exports.archive_tar_headers import BLOCK, EMPTY, has_checksum
from service.exports.archive_zip import read_zip
from service.exports.archive_zstd import Unzstd, is_zstd

__all__ = ["ArchiveFormat", "Limits", "Member", "read_members", "recognise"]

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGICS = (b"PK\3\4", b"PK\5\6", b"PK\7\b")  # with members, without any, one part of several
_TAR_MAGIC = slice(257, 262)


class ArchiveFormat(Enum):
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_ZST = "tar.zst"
    ZIP = "zip"


def recognise(head: bytes) -> ArchiveFormat:
    """The format of the archive that begins with `head`, its first 512 bytes or more (fewer if it ends).

    A tar is known by the checksum of its first header or by its magic; one without members is all zero.

    Raises:
        ArchiveRefused: it is none of the formats that are taken in.
    """
    if head.startswith(_GZIP_MAGIC):
        return ArchiveFormat.TAR_GZ
    if is_zstd(head):
        return ArchiveFormat.TAR_ZST
    if head.startswith(_ZIP_MAGICS):
        return ArchiveFormat.ZIP
    block = head[:BLOCK]
    if len(block) == BLOCK and (block == EMPTY or block[_TAR_MAGIC] == b"ustar" or has_checksum(block)):
        return ArchiveFormat.TAR
    detail = "The body is not an archive: a tar.gz, tar, zip or tar.zst of the export folder is needed."
    raise ArchiveRefused(detail)


def read_members(source: BinaryIO, size: int, limits: Limits | None = None) -> Iterator[tuple[Member, BinaryIO]]:
    """Yields the regular files of an archive, each with a stream of its bytes.

    A stream is valid until the next member is asked for; what is left of it is then skipped. Folders are
    checked and not yielded, and neither are files that macOS or an old unpacker added. Only when the
    iteration has ended has the whole archive been verified, so nothing may become visible before.

    Args:
        source: the archive, positioned anywhere. A tar is read once from front to back; a zip is first
            read at its end and then forwards, in turns with its directory.
        size: its length in bytes.
        limits: what it may hold at most.

    Raises:
        ArchiveRefused: it is no archive, is damaged or truncated, or has a member that is not allowed.
        TooLarge: it goes beyond one of the limits.
        Whatever `source` raises passes through.
    """
    bounds = limits or Limits()
    feed = Feed(source, 0, size)
    head = feed.some(BLOCK)
    kind = recognise(head)
    feed.back(len(head))
    match kind:
        case ArchiveFormat.TAR:
            yield from read_tar(feed, bounds)
        case ArchiveFormat.TAR_GZ:
            yield from read_tar(Gunzipped(feed, bounds), bounds)
        case ArchiveFormat.TAR_ZST:
            yield from read_tar(Unzstd(feed, bounds), bounds)
        case ArchiveFormat.ZIP:
            yield from read_zip(source, size, bounds)
