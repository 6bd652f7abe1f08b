"""Take an archive in by parts, which go to the object store directly, and queue its import when they are there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from service.domain.audit import Change
from service.domain.errors import ArchiveRefused, Conflict, InvalidInput, NotFound, TooLarge
from service.domain.identity import SERVICE, Principal
from service.domain.importing import Import, ImportOptions, ImportSource
from service.domain.layout import archive_key
from service.domain.uploading import LIFETIME, MAX_OPEN, Upload, UploadState, part_size
from service.exports.archive import recognise
from service.usecases.end_import import import_received
from service.usecases.object_ports import ObjectStore, PartInfo, PartStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.receive_import import HEAD, Received, check_options
from service.usecases.record_change import record

NAMED = 20


@dataclass(frozen=True)
class ArchiveUploads:
    """Uploads of a workspace; one of another workspace is not there."""

    store: RegistryStore
    objects: ObjectStore
    parts: PartStore
    clock: Clock

    def begin(self, by: Principal, workspace: str, size: int, sha256: str, max_bytes: int) -> tuple[Upload, bool]:
        """A new upload; or, not new, the open one of the same size and announced SHA-256, to go on with.

        Raises NotFound(kind="workspace"), TooLarge, or Conflict when too many are open.
        """
        if size > max_bytes:
            raise TooLarge(f"The archive is {size} bytes; at most {max_bytes} are taken in.", limit=max_bytes)
        with self.store.transaction() as tx:
            tx.workspaces.get(workspace)
        upload_id, now = str(uuid.uuid4()), self.clock()
        with self._multipart(archive_key(upload_id)) as multipart:
            new = Upload(
                id=upload_id,
                workspace=workspace,
                size=size,
                part_size=part_size(size),
                sha256=sha256,
                multipart=multipart.id,
                state=UploadState.OPEN,
                created_by=by.name,
                created_at=now,
                expires_at=now + LIFETIME,
            )
            with self.store.transaction() as tx:
                added = tx.uploads.add(new)
                if added.id == upload_id and tx.uploads.count_open(workspace) > MAX_OPEN:
                    raise Conflict(f"The workspace has {MAX_OPEN} open uploads; complete or end some of them.")
                multipart.kept = added.id == upload_id
                if multipart.kept:
                    told = {"size": size, "sha256": sha256}
                    record(tx, Change("upload.begun", by, workspace=workspace, subject=upload_id, after=told), now)
        return added, added.id == upload_id

    @contextmanager
    def _multipart(self, key: str) -> Iterator[_Multipart]:
        """A kill before the row is there leaves an empty one, for whose parts nobody has a URL."""
        made = _Multipart(self.parts.begin(key))
        try:
            yield made
        finally:
            if not made.kept:
                self.parts.end(key, made.id)

    def get(self, workspace: str, upload_id: str) -> Upload:
        """Raises NotFound(kind="upload")."""
        with self.store.transaction() as tx:
            tx.workspaces.get(workspace)
            return tx.uploads.get(workspace, upload_id)

    def there(self, upload: Upload) -> set[int]:
        """The numbers of the parts that are there with their right size."""
        found = None if upload.state is UploadState.COMPLETED else self._found(upload)
        wanted = range(1, upload.count + 1)
        if found is None:
            return set(wanted)
        return {number for number in wanted if number in found and found[number].size == upload.length(number)}

    def urls(self, by: Principal, upload: Upload, numbers: Sequence[int], seconds: int) -> list[tuple[int, str]]:
        """Recorded before it is told.

        Raises InvalidInput for a part that the upload does not have, Conflict when it is completed.
        """
        if upload.state is UploadState.COMPLETED:
            raise Conflict("The upload is completed.")
        if not all(1 <= number <= upload.count for number in numbers):
            raise InvalidInput(f"The upload has the parts 1 to {upload.count}.", field="parts")
        if numbers:
            told = {"parts": len(numbers), "expires_in": seconds}
            change = Change("parts.handed_out", by, workspace=upload.workspace, subject=upload.id, after=told)
            with self.store.transaction() as tx:
                record(tx, change, self.clock())
        key = archive_key(upload.id)
        return [(number, self.parts.presign(key, upload.multipart, number, seconds)) for number in numbers]

    def complete(
        self,
        by: Principal,
        workspace: str,
        upload_id: str,
        sha256: str,
        options: ImportOptions,
        idempotency_key: str | None = None,
    ) -> Received:
        """Join the parts and queue the import, once however often it is asked for.

        The worker hashes what was uploaded. Raises what `receive_import` raises, NotFound(kind="upload"), and
        Conflict naming the parts that are missing, after which the upload is still open.
        """
        check_options(self.store, by, workspace, options)
        upload = self.get(workspace, upload_id)
        if upload.state is UploadState.COMPLETED:
            return self._completed(upload, options)
        if sha256 and upload.sha256 not in ("", sha256):
            raise InvalidInput("The upload was announced with another SHA-256.", field="sha256")
        try:
            self._join(by, upload)
        except NotFound:  # unless another request was faster, and the worker has even imported it since
            if self.get(workspace, upload_id).state is not UploadState.COMPLETED:
                raise
            return self._completed(upload, options)
        source = ImportSource(sha256=sha256 or upload.sha256)
        key = f"upload {upload.id}"
        new = Import.received(by, self.clock(), upload.id, workspace, key, options, "", upload.size, source)
        with self.store.transaction() as tx:
            if tx.uploads.complete(upload.id):
                added = tx.imports.add(new, idempotency_key)
                record(tx, import_received(by, added), added.created_at)
                return Received(added, replayed=False)
        return self._completed(upload, options)

    def _completed(self, upload: Upload, options: ImportOptions) -> Received:
        with self.store.transaction() as tx:
            tx.uploads.get(upload.workspace, upload.id)
            import_ = tx.imports.get(upload.id)
        if import_.options != options:
            raise Conflict("The upload was completed with other options.", **{"import": import_.id})
        return Received(import_, replayed=True)

    def _join(self, by: Principal, upload: Upload) -> None:
        key = archive_key(upload.id)
        found = self._found(upload)
        if found is not None:
            wanted = range(1, upload.count + 1)
            wrong = [n for n in wanted if n not in found or found[n].size != upload.length(n)]
            if wrong:
                raise Conflict(
                    f"{len(wrong)} of {upload.count} parts are not there, or not as long as they should be.",
                    parts=[str(number) for number in wrong[:NAMED]],
                )
            with suppress(NotFound):  # another request has just joined them
                self.parts.join(key, upload.multipart, [found[number] for number in wanted])
        try:
            self._check(upload)
        except ArchiveRefused:
            self.end(by, upload.workspace, upload.id)
            raise

    def _check(self, upload: Upload) -> None:
        key = archive_key(upload.id)
        size = self.objects.stat(key).size
        if size != upload.size:  # not every store holds a join to the parts that were looked at
            raise ArchiveRefused(f"{size} bytes were uploaded and {upload.size} announced: upload it again.")
        with self.objects.open(key, 0, HEAD) as body:
            recognise(body.read(HEAD))

    def _found(self, upload: Upload) -> Mapping[int, PartInfo] | None:
        """None when the parts were joined already, by a request that ended before it could say so."""
        key = archive_key(upload.id)
        try:
            return {part.number: part for part in self.parts.parts(key, upload.multipart)}
        except NotFound:
            if next(self.objects.list(key), None) is None:
                raise
            return None

    def end(self, by: Principal, workspace: str, upload_id: str) -> None:
        """Forget an open upload and its bytes. Raises NotFound(kind="upload"), Conflict when it is completed."""
        upload = self.get(workspace, upload_id)
        ended = self._ended(by, upload)
        if not ended:
            self.get(workspace, upload_id)
            raise Conflict("The upload is completed: cancel its import.", **{"import": upload.id})
        self._clear(upload)

    def end_expired(self) -> int:
        """Forget what was abandoned, and what could not be forgotten before; answers with how many."""
        with self.store.transaction() as tx:
            found = tx.uploads.unfinished(self.clock())
        count = 0
        for upload in found:
            if self._ended(SERVICE, upload) or upload.state is UploadState.ENDING:
                self._clear(upload)
                count += 1
        return count

    def _ended(self, by: Principal, upload: Upload) -> bool:
        with self.store.transaction() as tx:
            ended = tx.uploads.end(upload.id)
            if ended:
                record(tx, Change("upload.ended", by, workspace=upload.workspace, subject=upload.id), self.clock())
        return ended

    def _clear(self, upload: Upload) -> None:
        """Only of one that is ending: none of its requests can then queue an import of these bytes."""
        self.parts.end(archive_key(upload.id), upload.multipart)
        self.objects.delete([archive_key(upload.id)])
        with self.store.transaction() as tx:
            tx.uploads.delete(upload.id)


@dataclass
class _Multipart:
    id: str
    kept: bool = False
