"""What a zstd file holds.

The frames and blocks are told apart here and handed to the library one by one: its own stream reader
takes a truncated file for a complete one, and its push interface unpacks without a bound.
"""

from __future__ import annotations

import zstandard

from service.exports.archive_limits import Limits, check_ratio
from service.exports.archive_names import damaged, ends_early
from service.exports.archive_streams import PIECE, Feed, Stream

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_SKIPPED_BYTES = 1 << 20
_WINDOW = 1 << 27  # what the zstd tool unpacks without an option: all levels, and --long
_BLOCK = 1 << 17
_IDLE_BLOCKS = 1000
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


def is_zstd(head: bytes) -> bool:
    """Whether `head` begins with a frame of zstd, or with a skippable one as pzstd writes."""
    return head[:4] == MAGIC or int.from_bytes(head[:4], "little") in _SKIPPABLE


class Unzstd(Stream):
    """The concatenated content of all frames."""

    def __init__(self, packed: Feed, limits: Limits) -> None:
        super().__init__()
        self._packed = packed
        self._limits = limits
        self._library = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._checksum = 0
        self._produced = 0
        self._idle = 0
        self._skipped = 0

    def _refill(self) -> bytes:
        while True:
            frame = self._frame or self._begin()
            if frame is None:
                return b""
            piece = self._block(frame)
            if piece:
                self._produced += len(piece)
                check_ratio(self._limits, self._produced, self._packed.position)
                return piece
            self._idle += 1
            if self._idle > _IDLE_BLOCKS + self._produced:
                raise damaged("consists of too many empty zstd blocks")

    def _begin(self) -> zstandard.ZstdDecompressionObj | None:
        """Opens the next frame; None at the end of the archive."""
        while magic := self._packed.take(4):
            if magic == MAGIC:
                self._frame = self._open(magic)
                return self._frame
            if len(magic) < 4:
                raise ends_early()
            if not is_zstd(magic):
                raise damaged("has other data after the end of its zstd stream")
            self._skip(int.from_bytes(self._packed.exactly(4), "little"))
        return None

    def _open(self, magic: bytes) -> zstandard.ZstdDecompressionObj:
        descriptor = self._packed.exactly(1)
        flags = descriptor[0]
        single = flags >> 5 & 1
        size_bytes = _SIZE_BYTES[flags >> 6] or single
        header = self._packed.exactly(1 - single + _DICTIONARY_BYTES[flags & 3] + size_bytes)
        self._checksum = 4 if flags & 4 else 0
        frame = self._library.decompressobj()
        self._feed(frame, magic + descriptor + header)
        return frame

    def _block(self, frame: zstandard.ZstdDecompressionObj) -> bytes:
        """The content of the next block: at most 128 KiB, so memory does not follow the ratio."""
        head = self._packed.exactly(3)
        fields = int.from_bytes(head, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        if kind == 3 or size > _BLOCK:
            raise damaged("is damaged: its zstd stream has a block that cannot be")
        data = self._packed.exactly(1 if kind == 1 else size)
        tail = self._packed.exactly(self._checksum) if last else b""
        piece = self._feed(frame, head + data + tail)
        if last:
            # The library read the same bytes: if it waits for more, it has understood them otherwise.
            if not frame.eof:
                raise damaged("is damaged: its zstd stream does not end where it says")
            self._frame = None
        return piece

    @staticmethod
    def _feed(frame: zstandard.ZstdDecompressionObj, data: bytes) -> bytes:
        try:
            piece: bytes = frame.decompress(data)
        except zstandard.ZstdError:
            raise damaged("is damaged: its zstd stream cannot be unpacked") from None
        return piece

    def _skip(self, size: int) -> None:
        """Passes over a skippable frame: pzstd and the seekable format keep sizes in them."""
        self._skipped += size
        if self._skipped > _SKIPPED_BYTES:
            raise damaged("carries data beside its content, in skippable zstd frames")
        while size:
            data = self._packed.some(min(size, PIECE))
            if not data:
                raise ends_early()
            size -= len(data)
