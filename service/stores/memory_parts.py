"""Multipart uploads in memory, for unit tests: what `service.stores.parts` promises, without a server."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from service.domain.errors import NotFound
from service.domain.refusals import part_replaced
from service.stores.memory_objects import HOST, MemoryObjects
from service.usecases.object_ports import PartInfo


class MemoryParts:
    """Implements `service.usecases.object_ports.PartStore`; parts come by `put`, since its URLs lead nowhere."""

    def __init__(self, objects: MemoryObjects) -> None:
        self._objects = objects
        self._uploads: dict[tuple[str, str], dict[int, bytes]] = {}
        self._begun: dict[str, datetime] = {}

    def begin(self, key: str) -> str:
        upload = uuid.uuid4().hex
        self._uploads[key, upload] = {}
        self._begun[upload] = datetime.now(UTC)
        return upload

    def presign(self, key: str, upload: str, number: int, seconds: int) -> str:
        query = urlencode({"uploadId": upload, "partNumber": number, "seconds": seconds})
        return f"{HOST}/{quote(key)}?{query}"

    def put(self, key: str, upload: str, number: int, content: bytes) -> None:
        """What a PUT to the part's URL does."""
        self._held(key, upload)[number] = content

    def parts(self, key: str, upload: str) -> Sequence[PartInfo]:
        return [_info(number, content) for number, content in sorted(self._held(key, upload).items())]

    def join(self, key: str, upload: str, parts: Sequence[PartInfo]) -> None:
        held = self._held(key, upload)
        if any(part.number not in held or part.etag != _info(part.number, held[part.number]).etag for part in parts):
            raise part_replaced()
        self._objects.put(key, io.BytesIO(b"".join(held[part.number] for part in parts)))
        del self._uploads[key, upload]

    def end(self, key: str, upload: str) -> None:
        self._uploads.pop((key, upload), None)

    def unfinished(self, prefix: str, before: datetime) -> Iterator[tuple[str, str]]:
        open_ones = (found for found in list(self._uploads) if found[0].startswith(prefix))
        return (found for found in open_ones if self._begun[found[1]] < before)

    def _held(self, key: str, upload: str) -> dict[int, bytes]:
        if (key, upload) not in self._uploads:
            raise NotFound("upload", upload)
        return self._uploads[key, upload]


def _info(number: int, content: bytes) -> PartInfo:
    return PartInfo(number, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())
