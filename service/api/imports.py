"""Routes of imports."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import BinaryIO, cast

from flask import Request, Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.api.bodies import Upload
from service.api.document import problems
from service.api.problems import problem_response
from service.domain.errors import Conflict
from service.domain.identity import Scope
from service.domain.importing import Import, ImportOptions, ImportState
from service.usecases.receive_import import receive_import
from service.wiring import Parts

IMPORTS = Tag(name="imports", description="Exports of workspaces, taken in exactly once")
MAX_WAIT = 300
POLL = 0.1


def add_imports(api: APIBlueprint, parts: Parts, max_bytes: int) -> None:
    @api.post(
        "/workspaces/<workspace>/imports",
        tags=[IMPORTS],
        responses={200: p.ImportOut, 201: p.ImportOut, 202: p.ImportOut, **problems(409, 413)},
    )
    @scoped("import", parameter="workspace")
    def create_import(
        path: p.WorkspacePath, query: p.ImportQuery, header: p.ImportHeaders, raw: p.ArchiveBody
    ) -> Response:
        """Send an export. 202 as soon as it is durable; with `Prefer: wait=<seconds>` the answer of the import."""
        upload = cast(Request, raw)
        received = receive_import(
            parts.store,
            parts.objects,
            parts.clock,
            principal(),
            path.workspace,
            cast(BinaryIO, Upload(upload.stream)),
            _length(upload),
            max_bytes,
            ImportOptions(**query.model_dump(by_alias=True)),
            header.idempotency_key,
        )
        import_ = _wait(parts, received.import_, _preferred_wait(header.prefer))
        return _imported(import_, replayed=received.replayed)

    @api.get("/imports/<import_id>", tags=[IMPORTS], responses={200: p.ImportOut})
    @authenticated()
    def get_import(path: p.ImportPath) -> Response:
        """State, progress and report of an import."""
        return answer(_shown(_own_import(parts, path.import_id)))

    @api.delete("/imports/<import_id>", tags=[IMPORTS], responses={200: p.ImportOut})
    @authenticated()
    def cancel_import(path: p.ImportPath) -> Response:
        """Cancel an import that is not final yet; one that is stays as it is."""
        import_ = _own_import(parts, path.import_id)
        with parts.store.transaction() as tx:
            tx.imports.finish(import_.id, ImportState.CANCELLED, parts.clock())
            return answer(_shown(tx.imports.get(import_.id)))

    @api.post("/imports/<import_id>/retry", tags=[IMPORTS], responses={202: p.ImportOut, **problems(409)})
    @authenticated()
    def retry_import(path: p.ImportPath) -> Response:
        """Try a failed import again, with the archive that was kept."""
        import_ = _own_import(parts, path.import_id)
        with parts.store.transaction() as tx:
            again = tx.imports.retry(import_.id)
        return answer(_shown(again), 202, {"Location": f"/v1/imports/{again.id}"})

    @api.get("/workspaces/<workspace>/imports", tags=[IMPORTS], responses={200: p.ImportsOut})
    @scoped("import", parameter="workspace")
    def list_imports(path: p.WorkspacePath, query: p.ImportListQuery) -> Response:
        """Imports of a workspace, newest first."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            found = tx.imports.list(path.workspace, query.limit, query.before)
        return answer(p.ImportsOut(imports=[_shown(item) for item in found]))


def _own_import(parts: Parts, import_id: str) -> Import:
    with parts.store.transaction() as tx:
        import_ = tx.imports.get(import_id)
    principal().require(Scope("import", import_.workspace))
    return import_


def _length(upload: Request) -> int | None:
    # Servers may leave the variable empty when there is none, which the library would read as 0.
    return upload.content_length if upload.environ.get("CONTENT_LENGTH") else None


def _preferred_wait(prefer: str) -> float:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most MAX_WAIT; 0 without one."""
    match = re.search(r"(?:^|[,;\s])wait=(\d{1,6})", prefer)
    return min(int(match[1]), MAX_WAIT) if match else 0


def _wait(parts: Parts, import_: Import, seconds: float) -> Import:
    until = time.monotonic() + seconds
    while not import_.state.final and time.monotonic() < until:
        time.sleep(POLL)  # a greenlet's sleep: it holds neither a worker nor a connection
        with parts.store.transaction() as tx:
            import_ = tx.imports.get(import_.id)
    return import_


def _imported(import_: Import, *, replayed: bool) -> Response:
    headers = {"Location": f"/v1/imports/{import_.id}"}
    if import_.state in (ImportState.REFUSED, ImportState.FAILED) and import_.problem:
        response = problem_response({**import_.problem, "import": import_.id})
        response.headers.update(headers)
        return response
    if import_.state is ImportState.CANCELLED:
        raise Conflict("The import was cancelled while its answer was waited for.", **{"import": import_.id})
    if not import_.state.final:
        return answer(_shown(import_), 202, headers)
    return answer(_shown(import_), 200 if replayed else 201, headers)


def _shown(import_: Import) -> p.ImportOut:
    return p.ImportOut(**{**vars(import_), "options": asdict(import_.options)})
