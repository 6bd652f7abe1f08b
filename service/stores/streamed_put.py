"""Send an object to S3 while it is read; the SDK would gather whole parts, and hash each before it sends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import BinaryIO

import urllib3
from minio import Minio
from minio.datatypes import Part

from service.domain.errors import Unavailable

BLOCK = 1024 * 1024
PUT_LIMIT = 5 * 1024**3
"""S3 takes at most 5 GiB in one PUT; more is sent in parts of 1 GiB."""
PART = 1024**3
EXPIRES = timedelta(hours=12)


class StreamedPut:
    """By presigned URLs, whose signature does not cover the body. Nothing is tried again: what was read is gone."""

    def __init__(self, client: Minio, http: urllib3.PoolManager, bucket: str) -> None:
        self._client = client
        self._http = http
        self._bucket = bucket

    def put(self, key: str, data: BinaryIO, size: int) -> str:
        """The object's ETag. Raises what `data` raises, and OSError when it ends before `size` bytes."""
        if size > PUT_LIMIT:
            return self._in_parts(key, data, size)
        return self._send(self._client.get_presigned_url("PUT", self._bucket, key, expires=EXPIRES), data, size)

    def _in_parts(self, key: str, data: BinaryIO, size: int) -> str:
        upload = self._client._create_multipart_upload(self._bucket, key, {})
        try:
            parts = []
            for number, begin in enumerate(range(0, size, PART), 1):
                query = {"uploadId": upload, "partNumber": str(number)}
                url = self._client.get_presigned_url(
                    "PUT", self._bucket, key, expires=EXPIRES, extra_query_params=query
                )
                parts.append(Part(number, self._send(url, data, min(PART, size - begin)).strip('"')))
            done = self._client._complete_multipart_upload(self._bucket, key, upload, parts)
        except BaseException:
            self._client._abort_multipart_upload(self._bucket, key, upload)
            raise
        return str(done.etag)

    def _send(self, url: str, data: BinaryIO, size: int) -> str:
        source = _Source(data, size)
        try:
            answer = self._http.request("PUT", url, body=source, headers={"Content-Length": str(size)}, retries=False)
        except urllib3.exceptions.HTTPError:
            if source.error is not None:
                raise source.error from None
            raise
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"The object store answered {answer.status}; try again.", part="s3")
        return answer.headers.get("ETag", "")


class _Source:
    """`size` bytes of `data` in blocks. Remembers what `data` raised, which urllib3 takes for the connection's."""

    def __init__(self, data: BinaryIO, size: int) -> None:
        self._data = data
        self._left = size
        self.error: OSError | None = None
        # Of a request that ends before its body began, SeaweedFS makes an empty object.
        self._first = self._read()

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        try:
            while self._left:
                yield self._read()
        except OSError as error:
            self.error = error
            raise

    def _read(self) -> bytes:
        block = self._data.read(min(BLOCK, self._left))
        if not block:
            raise OSError(f"the source ended {self._left} bytes too early")
        self._left -= len(block)
        return block
