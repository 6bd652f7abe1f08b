"""Byte streams under the archive readers: the stored object, and what gzip packed into it.

All of them only go forwards and hold about one piece of 1 MiB, whatever the archive claims.
"""

from __future__ import annotations

import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import BinaryIO

from service.exports.archive_limits import Limits, check_ratio
from service.exports.archive_names import damaged, ends_early

PIECE = 1 << 20
_GZIP = 31  # zlib's window bits for a gzip wrapper, whose CRC and length zlib then checks
_FIRST_STEP = 1 << 10
_STEP = 1 << 16
_IDLE_PARTS = 1000


class Stream(ABC):
    """Buffered forward reading over pieces of any length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0

    @abstractmethod
    def _refill(self) -> bytes:
        """The next piece, b"" at the end once everything has been verified."""

    def some(self, most: int) -> bytes:
        """What is at hand, at most `most` bytes; b"" only at the end."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._refill(), 0
        data = self._buffer[self._at : self._at + most]
        self._at += len(data)
        return data

    def back(self, count: int) -> None:
        """Undoes the last `count` bytes of the last `some`; a `take` cannot be undone."""
        self._at -= count

    def take(self, count: int) -> bytes:
        """`count` bytes, fewer only at the end."""
        data = self.some(count)
        if len(data) == count:
            return data
        parts = [data]
        missing = count - len(data)
        while missing and (data := self.some(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def exactly(self, count: int, inside: str = "") -> bytes:
        """`count` bytes, or ArchiveRefused: truncated, inside the member named `inside`."""
        data = self.take(count)
        if len(data) < count:
            raise ends_early(inside)
        return data


class Feed(Stream):
    """The bytes from `start` to `end` of the stored object, as they are."""

    def __init__(self, source: BinaryIO, start: int, end: int) -> None:
        super().__init__()
        self._source = source
        self._next = start
        self._end = end

    @property
    def position(self) -> int:
        """The offset in the object of the byte that is handed out next."""
        return self._next - len(self._buffer) + self._at

    def _refill(self) -> bytes:
        wanted = min(PIECE, self._end - self._next)
        if wanted <= 0:
            return b""
        # A seek may cost the source its read-ahead, so there is none while reading goes straight on.
        if self._source.tell() != self._next:
            self._source.seek(self._next)
        data = self._source.read(wanted)
        while len(data) < wanted:
            more = self._source.read(wanted - len(data))
            if not more:
                raise ends_early()
            data += more
        self._next += wanted
        return data


class Gunzipped(Stream):
    """What a gzip file holds; several gzip members in a row (pigz, bgzip, `cat`) count as one."""

    def __init__(self, packed: Feed, limits: Limits) -> None:
        super().__init__()
        self._packed = packed
        self._limits = limits
        self._produced = 0
        self._idle = 0
        self._begin()

    def _begin(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        # Small at first: what a short gzip member leaves over is copied once per member.
        self._step = _FIRST_STEP

    def _refill(self) -> bytes:
        while True:
            if self._inflate.eof and not self._next_part():
                return b""
            data = self._inflate.unconsumed_tail or self._packed.some(self._step)
            self._step = min(2 * self._step, _STEP)
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error:
                raise damaged("is damaged: its gzip stream cannot be unpacked") from None
            if self._inflate.eof:
                self._packed.back(len(self._inflate.unused_data))
            elif not data:
                raise ends_early()
            if piece:
                self._produced += len(piece)
                check_ratio(self._limits, self._produced, self._packed.position)
                return piece

    def _next_part(self) -> bool:
        """Whether another gzip member follows; refuses anything else but zero padding."""
        following = self._packed.some(1)
        if following == b"\x1f":
            self._idle += 1
            if self._idle > _IDLE_PARTS + self._produced:
                raise damaged("consists of too many empty gzip members")
            self._packed.back(1)
            self._begin()
            return True
        while following:
            if following.strip(b"\0"):
                raise damaged("has other data after the end of its gzip stream")
            following = self._packed.some(PIECE)
        return False


class Body(io.BufferedIOBase):
    """The `size` bytes of one member, readable until the next member is asked for.

    Args:
        pull: gives exactly as many bytes as asked for, or raises ArchiveRefused.
    """

    def __init__(self, pull: Callable[[int], bytes], size: int) -> None:
        super().__init__()
        self._pull = pull
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.closed:
            raise ValueError("the archive has moved on to its next member")
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._pull(wanted) if wanted else b""
        self._left -= len(data)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size if 0 <= size < PIECE else PIECE)

    def drain(self) -> None:
        """Ends the body, and reads what the caller left of it, so that it is verified too."""
        self.close()
        while self._left:
            self._left -= len(self._pull(min(self._left, PIECE)))
