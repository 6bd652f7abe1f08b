"""Objects in any S3, through the minio SDK."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, BinaryIO, Self, cast
from urllib.parse import quote, urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import ComposeSource, CopySource
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from service.domain.errors import NotFound, Unavailable
from service.settings import S3Settings
from service.stores.changed import changed
from service.stores.streamed_put import StreamedPut
from service.usecases.object_ports import ObjectInfo

PART_SIZE = 16 * 1024 * 1024
"""Of an object of unknown size: S3 allows 10,000 parts, which reach 156 GiB."""
STREAMED = 1024 * 1024
"""From here on an object is sent while it is read, and not tried again; the SDK hashes and repeats smaller ones."""
COPY_LIMIT = 5 * 1024**3
"""S3 copies at most 5 GiB in one call; more is composed of parts."""

_ABSENT = ("NoSuchKey", "NoSuchObject", "NotFound", "ResourceNotFound")


@contextmanager
def translated(key: str = "") -> Iterator[None]:
    """The SDK's and the transport's errors become NotFound(kind="object") or Unavailable."""
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise NotFound("object", key) from error
        raise Unavailable(f"The object store answered {error.code}; try again.", part="s3") from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable("The object store does not answer; try again in a moment.", part="s3") from error


class S3Objects:
    """Implements `service.usecases.object_ports.ObjectStore`."""

    def __init__(self, settings: S3Settings, *, connections: int = 32, patience: float = 60) -> None:
        """`patience`: seconds for which the first byte of what is read, and then each next one, is waited for."""
        self._bucket = settings.bucket
        self._client, http = s3_client(settings, settings.endpoint, connections)
        self._reader, _ = s3_client(settings, settings.endpoint, connections, patience)
        self._streamed = StreamedPut(self._client, http, settings.bucket)
        # Signing needs no connection, but the host that the client will see.
        self._signer, _ = s3_client(settings, settings.public_endpoint or settings.endpoint, 1)

    def make_bucket(self) -> None:
        """Create the bucket when it is absent and the keys allow it."""
        with translated():
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket)

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        if size is not None and size >= STREAMED:
            with translated(key):
                return ObjectInfo(key, size, plain_etag(self._streamed.put(key, data, size)))
        reader = _Counted(data)
        with translated(key):
            result = self._client.put_object(
                self._bucket,
                key,
                cast(BinaryIO, reader),
                length=-1 if size is None else size,
                part_size=PART_SIZE if size is None else 0,
            )
        return ObjectInfo(key, reader.count, plain_etag(result.etag))

    @contextmanager
    def open(self, key: str, offset: int = 0, length: int | None = None, etag: str = "") -> Iterator[BinaryIO]:
        response = None if length == 0 else self._get(key, offset, length, etag)
        if response is None:
            if etag not in ("", self.stat(key).etag):
                raise changed(key)
            yield io.BytesIO()
            return
        try:
            yield cast(BinaryIO, _Body(response, key))
        finally:
            response.close()
            response.release_conn()

    def _get(self, key: str, offset: int, length: int | None, etag: str) -> urllib3.BaseHTTPResponse | None:
        """The response; None when the object is not longer than `offset`, which S3 takes for an error."""
        with translated(key):
            try:
                return cast(
                    urllib3.BaseHTTPResponse,
                    self._reader.get_object(
                        self._bucket,
                        key,
                        offset=offset,
                        length=length or 0,
                        request_headers={"If-Match": f'"{etag}"'} if etag else None,
                    ),
                )
            except S3Error as error:
                if error.code == "PreconditionFailed":
                    raise changed(key) from error
                if error.code != "InvalidRange":
                    raise
        return None

    def stat(self, key: str) -> ObjectInfo:
        with translated(key):
            found = self._reader.stat_object(self._bucket, key)
        return ObjectInfo(key, found.size or 0, plain_etag(found.etag))

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
        with translated(prefix):
            found = self._reader.list_objects(self._bucket, prefix=prefix, recursive=recursive)
            # S3 gives the folders of a page after its files.
            for item in found if recursive else sorted(found, key=lambda item: item.object_name or ""):
                name = item.object_name or ""
                if not name.endswith("/"):
                    yield ObjectInfo(name, item.size or 0, plain_etag(item.etag), item.last_modified)
                # Some stores keep empty folders, also as keys; to us only objects below them exist.
                elif not recursive and name != prefix and next(self.list(name), None):
                    yield ObjectInfo(name, 0, "")

    def copy(self, source: str, target: str) -> ObjectInfo:
        there = self.stat(source)
        if source == target:  # which S3 itself refuses
            return there
        size = there.size
        with translated(source):
            if size < COPY_LIMIT:
                result = self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))
            else:
                result = self._client.compose_object(self._bucket, target, [ComposeSource(self._bucket, source)])
        return ObjectInfo(target, size, plain_etag(result.etag))

    def delete(self, keys: Iterable[str]) -> None:
        with translated():
            wanted = (DeleteObject(key) for key in keys)
            for error in self._client.remove_objects(self._bucket, wanted):
                if error.code not in _ABSENT:
                    raise Unavailable(f"The object store answered {error.code}; try again.", part="s3")

    def presign(self, key: str, seconds: int, filename: str = "") -> str:
        headers: dict[str, str | list[str] | tuple[str]] = {}
        if filename:
            headers["response-content-disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        with translated(key):
            url: str = self._signer.presigned_get_object(
                self._bucket, key, expires=timedelta(seconds=seconds), response_headers=headers
            )
        return url

    def check(self) -> None:
        with translated():
            if not self._reader.bucket_exists(self._bucket):
                raise Unavailable("The bucket is not there: run `model-registry migrate`.", part="s3")


class _Retry(urllib3.Retry):
    """A store that does not answer in time is not asked again: whoever waits for it has waited long enough."""

    def increment(self, *args: Any, **kwargs: Any) -> Self:
        if isinstance(kwargs.get("error"), urllib3.exceptions.ReadTimeoutError):
            raise kwargs["error"]
        return super().increment(*args, **kwargs)


def s3_client(
    settings: S3Settings, endpoint: str, connections: int, patience: float = 60
) -> tuple[Minio, urllib3.PoolManager]:
    """The client, and the connections that it uses."""
    parts = urlsplit(endpoint)
    http = urllib3.PoolManager(
        maxsize=connections,
        timeout=urllib3.Timeout(connect=min(3, patience / 3), read=patience),
        retries=_Retry(total=2, backoff_factor=0.1, status_forcelist=(500, 502, 503, 504)),
    )
    client = Minio(
        parts.netloc,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        secure=parts.scheme == "https",
        region=settings.region,  # given, so that signing never has to ask the store for it
        http_client=http,
    )
    return client, http


def plain_etag(etag: str | None) -> str:
    return (etag or "").strip('"')


class _Counted:
    """Counts what the SDK reads from `data`."""

    def __init__(self, data: BinaryIO) -> None:
        self._data = data
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        block = self._data.read(size)
        self.count += len(block)
        return block


class _Body:
    """The body of a GET; an error while reading is the store's, and a body that ends early is an error."""

    def __init__(self, response: urllib3.BaseHTTPResponse, key: str) -> None:
        self._response = response
        self._key = key

    def read(self, size: int = -1) -> bytes:
        with translated(self._key):
            return self._response.read(None if size < 0 else size, decode_content=False)
