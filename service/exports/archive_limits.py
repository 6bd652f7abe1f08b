"""What an archive may hold at most, and the account that is kept while it is read."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.errors import TooLarge
from service.exports.archive_names import Names, clean, refused, shown

_MIB = 1 << 20
_HEADER_ALLOWANCE = 4096  # long names, times and attributes of one member take some 2 KiB
_HEADER_BLOCK = 512


@dataclass(frozen=True)
class Limits:
    """Each number is the largest that is still taken in."""

    members: int = 1_000_000  # files and folders
    path_bytes: int = 1024  # S3 allows no longer key
    segment_bytes: int = 255  # no common file system allows a longer name
    depth: int = 32  # segments of a path
    names_bytes: int = 128 * _MIB  # all paths together, which are held in memory
    unpacked_bytes: int = 200 << 30  # the sizes of all files
    ratio: int = 1000  # unpacked to packed bytes; deflate itself cannot exceed 1032
    ratio_from: int = 100 * _MIB  # unpacked bytes below which the ratio does not matter
    header_bytes: int = 64 << 10  # one pax or GNU long-name header, held in memory


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of the archive.

    `path` is relative, `/` separated, without a leading `./` and otherwise as it was packed, a common
    leading folder included; `size` is its exact number of bytes.
    """

    path: str
    size: int


class Ledger:
    """Counts the members of one archive and refuses the one that goes beyond a limit."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._names = Names()
        self._members = 0
        self._names_bytes = 0
        self._unpacked = 0
        self._header_bytes = 0

    def admit(self, raw: bytes, size: int, *, folder: bool) -> str:
        """Enters one member before its bytes are read.

        Args:
            raw: its name as stored.
            size: its declared size in bytes, 0 for a folder.

        Returns:
            its clean path, "" for the folder that was packed.

        Raises:
            ArchiveRefused: its name is not allowed or was there before.
            TooLarge: it is one member, a folder on the way to it, or some bytes too many.
        """
        limits, name = self.limits, shown(raw)
        self._members += 1
        if self._members > limits.members:
            raise TooLarge(f'The archive has more than {limits.members} members, at "{name}".', member=name)
        path = clean(raw, folder=folder)
        self._check_length(path, name)
        self._unpacked += size
        if self._unpacked > limits.unpacked_bytes:
            detail = f'The archive unpacks to more than {limits.unpacked_bytes} bytes, at "{name}".'
            raise TooLarge(detail, member=name)
        if path:
            self._names.add(path, folder=folder)
            self._check_names(path, name)
        return path

    def _check_names(self, path: str, name: str) -> None:
        limits = self.limits
        self._names_bytes += len(path.encode())
        if self._names_bytes > limits.names_bytes:
            detail = f'The paths in the archive take more than {limits.names_bytes} bytes, at "{name}".'
            raise TooLarge(detail, member=name)
        if self._names.folders > limits.members:
            raise TooLarge(f'The archive has more than {limits.members} folders, at "{name}".', member=name)

    def _check_length(self, path: str, name: str) -> None:
        limits = self.limits
        length = len(path.encode())
        if length > limits.path_bytes:
            raise refused(name, f"has a path of more than {limits.path_bytes} bytes")
        if path.count("/") >= limits.depth:
            raise refused(name, f"has more than {limits.depth} segments in its path")
        # Most paths are shorter than a segment may be.
        if length > limits.segment_bytes:
            longest = max(len(segment.encode()) for segment in path.split("/"))
            if longest > limits.segment_bytes:
                raise refused(name, f"has more than {limits.segment_bytes} bytes between two slashes")

    def header(self, size: int, after: str) -> None:
        """Enters a header of `size` bytes that is no member: each is bounded, and so is their average."""
        limits = self.limits
        self._header_bytes += size + _HEADER_BLOCK
        allowed = _MIB + _HEADER_ALLOWANCE * (self._members + 1)
        if size > limits.header_bytes or self._header_bytes > allowed:
            where = f', after the member "{after}"' if after else ""
            raise TooLarge(f"The archive has too large extended headers{where}.", after=after)


def check_ratio(limits: Limits, unpacked: int, packed: int, name: str = "") -> None:
    """Refuses a decompression bomb: `packed` bytes that became, or claim to become, `unpacked` bytes."""
    if unpacked > limits.ratio_from and unpacked > limits.ratio * packed:
        where = f', at the member "{name}"' if name else ""
        named = {"member": name} if name else {}
        raise TooLarge(f"The archive unpacks to more than {limits.ratio} times its size{where}.", **named)
