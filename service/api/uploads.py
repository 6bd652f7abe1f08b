"""Routes of uploads: large archives go to the object store directly, part by part."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import import_payloads as ip
from service.api import payloads as p
from service.api import upload_payloads as u
from service.api.answers import answer, no_content
from service.api.auth import principal, scoped
from service.api.document import problems
from service.api.import_answers import received_answer
from service.domain.errors import InvalidInput
from service.domain.importing import ImportOptions
from service.domain.uploading import Upload
from service.usecases.upload_archive import ArchiveUploads
from service.wiring import Parts

UPLOADS = Tag(name="uploads", description="Archives that go to the object store directly, by parts, to be imported")
ALL = "/workspaces/<workspace>/uploads"
ONE = f"{ALL}/<upload_id>"


def add_uploads(api: APIBlueprint, parts: Parts, max_bytes: int, seconds: int) -> None:
    uploads = ArchiveUploads(parts.store, parts.objects, parts.part_store, parts.clock)

    @api.post(ALL, tags=[UPLOADS], responses={200: u.NewUploadOut, 201: u.NewUploadOut, **problems(409, 413, 415)})
    @scoped("import", parameter="workspace")
    def create_upload(path: p.WorkspacePath, body: u.UploadIn) -> Response:
        """Begin an upload; or go on with the open one of the same size and announced SHA-256 (200)."""
        upload, created = uploads.begin(principal(), path.workspace, body.size, body.sha256, max_bytes)
        there = uploads.there(upload)
        urls = uploads.urls(principal(), upload, _missing(upload, there), seconds)
        out = u.NewUploadOut(**_shown(upload, there), expires_in=seconds, urls=_urls(upload, urls))
        return answer(
            out, 201 if created else 200, {"Location": f"/v1/workspaces/{path.workspace}/uploads/{upload.id}"}
        )

    @api.get(ONE, tags=[UPLOADS], responses={200: u.UploadOut})
    @scoped("import", parameter="workspace")
    def get_upload(path: u.UploadPath) -> Response:
        """An upload and which of its parts are there."""
        upload = uploads.get(path.workspace, path.upload_id)
        return answer(u.UploadOut(**_shown(upload, uploads.there(upload))))

    @api.get(f"{ONE}/urls", tags=[UPLOADS], responses={200: u.PartUrlsOut, **problems(409)})
    @scoped("import", parameter="workspace")
    def get_upload_urls(path: u.UploadPath, query: u.UrlsQuery) -> Response:
        """New URLs: of the parts that are not there yet, or of those named."""
        upload = uploads.get(path.workspace, path.upload_id)
        numbers = _numbers(query.parts, upload) or _missing(upload, uploads.there(upload))
        urls = uploads.urls(principal(), upload, numbers, seconds)
        return answer(u.PartUrlsOut(expires_in=seconds, parts=_urls(upload, urls)))

    @api.post(
        f"{ONE}/complete",
        tags=[UPLOADS],
        responses={200: ip.ImportOut, 201: ip.ImportOut, 202: ip.ImportOut, **problems(409)},
    )
    @scoped("import", parameter="workspace")
    def complete_upload(path: u.UploadPath, query: u.CompleteQuery, header: ip.ImportHeaders) -> Response:
        """Import what was uploaded; answered like an archive that was sent. Once, however often it is asked for."""
        options = ImportOptions(**query.model_dump(by_alias=True, exclude={"sha256"}))
        received = uploads.complete(
            principal(), path.workspace, path.upload_id, query.sha256, options, header.idempotency_key
        )
        return received_answer(parts, received, header.prefer)

    @api.delete(ONE, tags=[UPLOADS], responses={204: None, **problems(409)})
    @scoped("import", parameter="workspace")
    def delete_upload(path: u.UploadPath) -> Response:
        """End an upload that is not completed, and forget its parts."""
        uploads.end(principal(), path.workspace, path.upload_id)
        return no_content()


def _missing(upload: Upload, there: set[int]) -> list[int]:
    return [number for number in range(1, upload.count + 1) if number not in there]


def _numbers(text: str, upload: Upload) -> list[int]:
    """Of `1,4-9`, each once. Raises InvalidInput for a part that the upload does not have."""
    found: set[int] = set()
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        wanted = range(int(first), int(last or first) + 1)
        if not wanted or wanted[0] < 1 or wanted[-1] > upload.count:
            raise InvalidInput(f"The upload has the parts 1 to {upload.count}.", field="parts")
        found.update(wanted)
    return sorted(found)


def _shown(upload: Upload, there: set[int]) -> dict[str, object]:
    rows = [u.PartOut(**_place(upload, number), there=number in there) for number in range(1, upload.count + 1)]
    return {**vars(upload), "parts": rows}


def _urls(upload: Upload, urls: Iterable[tuple[int, str]]) -> list[u.PartUrlOut]:
    return [u.PartUrlOut(**_place(upload, number), url=url) for number, url in urls]


def _place(upload: Upload, number: int) -> dict[str, int]:
    return {"number": number, "offset": upload.offset(number), "size": upload.length(number)}
