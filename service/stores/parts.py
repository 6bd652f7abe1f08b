"""Multipart uploads to any S3, through the minio SDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from minio.datatypes import Part
from minio.error import S3Error

from service.domain.errors import NotFound
from service.domain.refusals import part_replaced
from service.domain.uploading import MAX_PARTS
from service.settings import S3Settings
from service.stores.objects import plain_etag, s3_client, translated
from service.usecases.object_ports import PartInfo

_REFUSED = ("InvalidPart", "InvalidPartOrder", "EntityTooSmall")


@contextmanager
def _of_upload(key: str, upload: str) -> Iterator[None]:
    with translated(key):
        try:
            yield
        except S3Error as error:
            if error.code == "NoSuchUpload":
                raise NotFound("upload", upload) from error
            if error.code in _REFUSED:
                raise part_replaced() from error
            raise


class S3Parts:
    """Implements `service.usecases.object_ports.PartStore`.

    The SDK has these calls for its own uploads of large objects only, under names with an underscore; the
    upper bound in pyproject.toml and the contract's tests hold them in place.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._client, _ = s3_client(settings, settings.endpoint, 8)
        # Signing needs no connection, but the host that the client will see.
        self._signer, _ = s3_client(settings, settings.public_endpoint or settings.endpoint, 1)

    def begin(self, key: str) -> str:
        with translated(key):
            upload: str = self._client._create_multipart_upload(self._bucket, key, {})
        return upload

    def presign(self, key: str, upload: str, number: int, seconds: int) -> str:
        with translated(key):
            url: str = self._signer.get_presigned_url(
                "PUT",
                self._bucket,
                key,
                expires=timedelta(seconds=seconds),
                extra_query_params={"uploadId": upload, "partNumber": str(number)},
            )
        return url

    def parts(self, key: str, upload: str) -> Sequence[PartInfo]:
        with _of_upload(key, upload):
            found = self._client._list_parts(self._bucket, key, upload, max_parts=MAX_PARTS).parts
        # SeaweedFS lists a part that was sent again beside the one it replaced, with times in seconds.
        newest = {part.part_number: part for part in sorted(found, key=lambda part: part.last_modified)}
        return [PartInfo(part.part_number, part.size or 0, plain_etag(part.etag)) for _, part in sorted(newest.items())]

    def join(self, key: str, upload: str, parts: Sequence[PartInfo]) -> None:
        with _of_upload(key, upload):
            self._client._complete_multipart_upload(
                self._bucket, key, upload, [Part(part.number, part.etag) for part in parts]
            )

    def end(self, key: str, upload: str) -> None:
        with translated(key):
            try:
                self._client._abort_multipart_upload(self._bucket, key, upload)
            except S3Error as error:
                if error.code != "NoSuchUpload":
                    raise

    def unfinished(self, prefix: str, before: datetime) -> Iterator[tuple[str, str]]:
        key = upload = None
        with translated(prefix):
            while True:
                found = self._client._list_multipart_uploads(
                    self._bucket, prefix=prefix, key_marker=key, upload_id_marker=upload, max_uploads=1000
                )
                for item in found.uploads:
                    if item.initiated_time < before:
                        yield item.object_name, item.upload_id
                if not found.is_truncated:
                    return
                key, upload = found.next_key_marker, found.next_upload_id_marker
