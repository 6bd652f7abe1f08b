"""Objects in memory, for unit tests: what `service.stores.objects` promises, without a server."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import BinaryIO
from urllib.parse import quote, urlencode

from service.domain.errors import NotFound
from service.stores.changed import changed
from service.usecases.object_ports import ObjectInfo

BLOCK = 1024 * 1024
HOST = "http://objects.invalid"


class MemoryObjects:
    """Implements `service.usecases.object_ports.ObjectStore`; a presigned URL names the object but leads nowhere."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self._modified: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        content = _all(data, size)
        self._keep(key, content)
        return _info(key, content)

    @contextmanager
    def open(self, key: str, offset: int = 0, length: int | None = None, etag: str = "") -> Iterator[BinaryIO]:
        content = self._content(key)
        if etag not in ("", _info(key, content).etag):
            raise changed(key)
        with io.BytesIO(content[offset : None if length is None else offset + length]) as body:
            yield body

    def stat(self, key: str) -> ObjectInfo:
        return _info(key, self._content(key))

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
        with self._lock:
            found = {key: content for key, content in self._contents.items() if key.startswith(prefix)}
        folders: set[str] = set()
        for key in sorted(found):
            inner, slash, _ = key.removeprefix(prefix).partition("/")
            if recursive or not slash:
                yield replace(_info(key, found[key]), modified=self._modified[key])
            elif inner not in folders:
                folders.add(inner)
                yield ObjectInfo(f"{prefix}{inner}/", 0, "")

    def copy(self, source: str, target: str) -> ObjectInfo:
        content = self._content(source)
        if source != target:
            self._keep(target, content)
        return _info(target, content)

    def _keep(self, key: str, content: bytes) -> None:
        with self._lock:
            self._contents[key] = content
            self._modified[key] = datetime.now(UTC)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._lock:
                self._contents.pop(key, None)

    def presign(self, key: str, seconds: int, filename: str = "") -> str:
        return f"{HOST}/{quote(key)}?{urlencode({'seconds': seconds, 'filename': filename})}"

    def check(self) -> None:
        """Memory is always there."""

    def _content(self, key: str) -> bytes:
        with self._lock:
            content = self._contents.get(key)
        if content is None:
            raise NotFound("object", key)
        return content


def _all(data: BinaryIO, size: int | None) -> bytes:
    """Reads to the end, or `size` bytes. Raises OSError when `data` ends before that."""
    content = bytearray()
    while size is None or len(content) < size:
        block = data.read(BLOCK if size is None else min(BLOCK, size - len(content)))
        if not block:
            break
        content += block
    if size is not None and len(content) < size:
        raise OSError(f"the data ended after {len(content)} of {size} bytes")
    return bytes(content)


def _info(key: str, content: bytes) -> ObjectInfo:
    return ObjectInfo(key, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
