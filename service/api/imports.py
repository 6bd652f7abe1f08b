"""Routes of imports."""

from __future__ import annotations

from typing import BinaryIO, cast

from flask import Request, Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import import_payloads as ip
from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.api.bodies import Upload, parsed
from service.api.document import problems
from service.api.import_answers import received_answer, shown_import
from service.domain.identity import Scope
from service.domain.importing import Import, ImportOptions
from service.usecases.end_import import cancel_import, retry_import
from service.usecases.receive_dropped import receive_dropped
from service.usecases.receive_import import Received, receive_import
from service.wiring import Parts

IMPORTS = Tag(name="imports", description="Exports of workspaces, taken in exactly once")


def add_imports(api: APIBlueprint, parts: Parts, max_bytes: int) -> None:
    @api.post(
        "/workspaces/<workspace>/imports",
        tags=[IMPORTS],
        responses={200: ip.ImportOut, 201: ip.ImportOut, 202: ip.ImportOut, **problems(409, 413, 415)},
    )
    @scoped("import", parameter="workspace")
    def create_import(
        path: p.WorkspacePath, query: ip.ImportQuery, header: ip.ImportHeaders, raw: ip.ArchiveBody
    ) -> Response:
        """Send an export. 202 as soon as it is durable; with `Prefer: wait=<seconds>` the answer of the import.

        A JSON body names what is in the workspace's drop zone, `drop/<workspace>/` of the bucket, already.
        """
        request = cast(Request, raw)
        options = ImportOptions(**query.model_dump(by_alias=True))
        receive = _receive_dropped if request.is_json else _receive_body
        received = receive(parts, request, path.workspace, max_bytes, options, header.idempotency_key)
        return received_answer(parts, received, header.prefer)

    @api.get("/imports/<import_id>", tags=[IMPORTS], responses={200: ip.ImportOut})
    @authenticated()
    def get_import(path: ip.ImportPath) -> Response:
        """State, progress and report of an import."""
        return answer(shown_import(_own_import(parts, path.import_id)))

    @api.delete("/imports/<import_id>", tags=[IMPORTS], responses={200: ip.ImportOut})
    @authenticated()
    def cancel_import_(path: ip.ImportPath) -> Response:
        """Cancel an import that is not final yet or has failed; one that ended otherwise stays as it is."""
        return answer(shown_import(cancel_import(parts.store, parts.clock, principal(), path.import_id)))

    @api.post("/imports/<import_id>/retry", tags=[IMPORTS], responses={202: ip.ImportOut, **problems(409)})
    @authenticated()
    def retry_import_(path: ip.ImportPath) -> Response:
        """Try a failed import again, with the archive that was kept."""
        again = retry_import(parts.store, parts.clock, principal(), path.import_id)
        return answer(shown_import(again), 202, {"Location": f"/v1/imports/{again.id}"})

    @api.get("/workspaces/<workspace>/imports", tags=[IMPORTS], responses={200: ip.ImportsOut})
    @scoped("import", parameter="workspace")
    def list_imports(path: p.WorkspacePath, query: ip.ImportListQuery) -> Response:
        """Imports of a workspace, newest first."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            found = tx.imports.list(path.workspace, query.limit, query.before)
        return answer(ip.ImportsOut(imports=[shown_import(item) for item in found]))


def _receive_body(
    parts: Parts, request: Request, workspace: str, max_bytes: int, options: ImportOptions, idempotency_key: str | None
) -> Received:
    return receive_import(
        parts.store,
        parts.objects,
        parts.clock,
        principal(),
        workspace,
        cast(BinaryIO, Upload(request.stream)),
        _length(request),
        max_bytes,
        options,
        idempotency_key,
    )


def _receive_dropped(
    parts: Parts, request: Request, workspace: str, max_bytes: int, options: ImportOptions, idempotency_key: str | None
) -> Received:
    place = parsed(ip.DroppedIn, request).s3
    return receive_dropped(
        parts.store,
        parts.objects,
        parts.clock,
        principal(),
        workspace,
        max_bytes,
        options,
        key=place.key,
        prefix=place.prefix,
        idempotency_key=idempotency_key,
    )


def _own_import(parts: Parts, import_id: str) -> Import:
    with parts.store.transaction() as tx:
        import_ = tx.imports.get(import_id)
    principal().require(Scope("import", import_.workspace))
    return import_


def _length(upload: Request) -> int | None:
    # Servers may leave the variable empty when there is none, which the library would read as 0.
    return upload.content_length if upload.environ.get("CONTENT_LENGTH") else None
