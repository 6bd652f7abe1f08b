"""An object as a seekable file; sequential reads share one request."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import BinaryIO, cast

from service.usecases.object_ports import ObjectStore


class ObjectReader(io.RawIOBase):
    """Reads `key` of `size` bytes, and of the put `etag` if one is given. A seek costs a request at the next read."""

    def __init__(self, objects: ObjectStore, key: str, size: int, etag: str = "") -> None:
        super().__init__()
        self._objects = objects
        self._key = key
        self._size = size
        self._etag = etag
        self._position = 0
        self._body: BinaryIO | None = None
        self._request = ExitStack()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        target = max(0, base + offset)
        if target != self._position:
            self._drop()
            self._position = target
        return target

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        if self._body is None:
            self._body = self._request.enter_context(self._objects.open(self._key, self._position, etag=self._etag))
        block = self._body.read(wanted)
        self._position += len(block)
        return block

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        block = self.read(len(view))
        view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        self._request.close()
        self._body = None
