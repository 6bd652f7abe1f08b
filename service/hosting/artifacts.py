"""MLflow's artifact proxy (`/api/2.0/mlflow-artifacts`) over our object store: streamed, nothing lands on disk."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, BinaryIO, cast

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected

from service.api.auth import principal
from service.api.byte_answers import CHECKED, file_answer
from service.api.ranges import apply_span, asked_span
from service.domain.errors import InvalidInput, NotFound
from service.hosting.artifact_store import ArtifactPath, artifact_path, list_folder
from service.hosting.artifact_uploads import part_count, upload_id, uploaded_parts, uploaded_path
from service.hosting.caller import caller
from service.usecases.hand_out import Find, HandOutBytes, Source
from service.usecases.object_ports import ObjectStore, PartStore
from service.usecases.ports import Transaction
from service.wiring import Parts

ROOT = "/mlflow-artifacts"
BLOCK = 1024 * 1024
PRESIGN_SECONDS = 900
PART_SECONDS = 3600
"""A client gets the URLs of all parts at once, before it sends the first."""
MAX_JSON = 4 * 1024 * 1024
"""Of a body that completes an upload: 10,000 parts, each with the URL that it went to."""
Guard = Callable[[ArtifactPath, bool], None]
"""(path, whether it is written) -> raises NotAllowed."""


def artifact_routes(name: str, parts: Parts, guard: Guard) -> Blueprint:
    """List, download, upload and delete; presigned downloads, and uploads by presigned parts."""
    routes = Blueprint(name, __name__)
    registered = HandOutBytes(parts.store, parts.objects, parts.clock, parts.reads)
    _add_files(routes, parts.objects, registered, guard)
    _add_presigned(routes, parts.objects, registered, guard)
    _add_multipart(routes, parts.part_store, guard)
    return routes


def _add_files(routes: Blueprint, objects: ObjectStore, registered: HandOutBytes, guard: Guard) -> None:
    @routes.get(f"{ROOT}/artifacts")
    def list_() -> Response:
        # Clients that are asked for all of a run's artifacts name the folder `.`.
        asked = [segment for segment in request.args.get("path", "").split("/") if segment != "."]
        path = artifact_path("/".join(asked))
        guard(path, False)
        files = [
            {
                "path": item.name,
                "is_dir": item.size is None,
                **({} if item.size is None else {"file_size": str(item.size)}),
            }
            for item in list_folder(objects, path)
        ]
        return jsonify({"files": files})

    @routes.get(f"{ROOT}/artifacts/<path:artifact>")
    def download(artifact: str) -> Response:
        path = artifact_file(artifact)
        guard(path, False)
        return file_of(objects, registered, path)

    @routes.put(f"{ROOT}/artifacts/<path:artifact>")
    def upload(artifact: str) -> Response:
        path = artifact_file(artifact)
        path.require_placeable()
        if request.args:
            raise InvalidInput("An upload has no query: parts go to their own URLs.", field="query")
        guard(path, True)
        path.require_writable()
        objects.put(path.key, cast(BinaryIO, _Sent()), request.content_length)
        return jsonify({})

    @routes.delete(f"{ROOT}/artifacts/<path:artifact>")
    def delete(artifact: str) -> Response:
        path = artifact_path(artifact)
        guard(path, True)
        path.require_writable()
        keys = [path.key, *(info.key for info in objects.list(path.key + "/"))]
        # `mlflow gc` asks for folders, with a slash at the end: one of a run without artifacts is empty.
        if not artifact.endswith("/") and len(keys) == 1 and not _is_there(objects, path.key):
            raise NotFound("artifact", artifact)
        objects.delete(keys)
        return jsonify({})


def file_of(objects: ObjectStore, registered: HandOutBytes, path: ArtifactPath) -> Response:
    """The bytes, streamed: those of a registered version are held against its manifest."""
    if path.digest:
        return file_answer(registered, _decided(path, caller().name), path.inner, CHECKED)
    info = objects.stat(path.key)
    span = asked_span(request, info.size, info.etag)
    response = Response(mimetype=mimetypes.guess_type(path.key)[0] or "application/octet-stream")
    response.headers["ETag"] = f'"{info.etag}"'
    # Artifacts are data of unknown origin: a browser must neither guess at them nor run them.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["Content-Disposition"] = "attachment"
    response.make_conditional(request)
    if response.status_code == 200:
        apply_span(response, span, info.size)
        if request.method == "GET":
            response.response = _opened(objects.open(path.key, span.start, span.length, info.etag))
    return response


def _add_presigned(routes: Blueprint, objects: ObjectStore, registered: HandOutBytes, guard: Guard) -> None:
    @routes.get(f"{ROOT}/presigned/<path:artifact>")
    def presigned(artifact: str) -> Response:
        path = artifact_file(artifact)
        guard(path, False)
        if path.digest:
            _, (link,) = registered.links(principal(), _decided(path, caller().name), PRESIGN_SECONDS, path.inner)
            return _private(jsonify({"url": link.url, "headers": {}, "file_size": link.file.size}))
        size = objects.stat(path.key).size
        url = objects.presign(path.key, PRESIGN_SECONDS, path.key.rpartition("/")[2])
        return _private(jsonify({"url": url, "headers": {}, "file_size": size}))


def _add_multipart(routes: Blueprint, uploads: PartStore, guard: Guard) -> None:
    @routes.post(f"{ROOT}/mpu/create/<path:folder>")
    def create(folder: str) -> Response:
        path, body = _uploaded(folder, guard)
        numbers = range(1, part_count(body) + 1)
        upload = uploads.begin(path.key)
        urls = ((number, uploads.presign(path.key, upload, number, PART_SECONDS)) for number in numbers)
        credentials = [{"url": url, "part_number": number, "headers": {}} for number, url in urls]
        return _private(jsonify({"upload_id": upload, "credentials": credentials}))

    @routes.post(f"{ROOT}/mpu/complete/<path:folder>")
    def complete(folder: str) -> Response:
        path, body = _uploaded(folder, guard)
        uploads.join(path.key, upload_id(body), uploaded_parts(body))
        return jsonify({})

    @routes.post(f"{ROOT}/mpu/abort/<path:folder>")
    def abort(folder: str) -> Response:
        path, body = _uploaded(folder, guard)
        uploads.end(path.key, upload_id(body))
        return jsonify({})


def _uploaded(folder: str, guard: Guard) -> tuple[ArtifactPath, dict[str, Any]]:
    """The artifact that the parts are to become, and the body."""
    if (request.content_length or 0) > MAX_JSON:
        raise InvalidInput(f"The body is over {MAX_JSON} bytes.", field="body")
    try:
        body = request.get_json(force=True, silent=True)
    except RecursionError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("The body must be a JSON object.", field="body")
    path = artifact_path(uploaded_path(folder, body))
    path.require_placeable()
    guard(path, True)
    path.require_writable()
    return path, body


def artifact_file(artifact: str) -> ArtifactPath:
    """Raises InvalidInput for the path of a folder, and as `artifact_path`."""
    path = artifact_path(artifact)
    if artifact.endswith("/") or path.key.endswith("/"):
        raise InvalidInput("The path of an artifact ends with its name.", field="path")
    return path


def _decided(path: ArtifactPath, environment: str) -> Find:
    """The bytes of a path about which the guard has decided, with what is recorded of the place they are in."""
    return lambda tx, by: _place(tx, path.digest, environment)


def _place(tx: Transaction, digest: str, environment: str) -> Source:
    """The version and the stage of the environment that hold the bytes, as far as no others do, too."""
    held = [
        Source(digest, model, version, environment, place.stage)
        for model, version in tx.checks.versions(digest)
        for place in tx.stages.holding(model, version)
        if place.environment == environment
    ]
    if len({(source.model, source.version) for source in held}) != 1:
        return Source(digest, environment=environment)
    return held[0] if len(held) == 1 else replace(held[0], stage="")


def _private(response: Response) -> Response:
    """Whoever has the URLs needs no token."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _is_there(objects: ObjectStore, key: str) -> bool:
    try:
        objects.stat(key)
    except NotFound:
        return False
    return True


def _opened(source: AbstractContextManager[BinaryIO]) -> Iterator[bytes]:
    """Its blocks. The first is read now, while an error can still be told."""
    blocks = _blocks(source)
    first = next(blocks)

    def all_of_them() -> Iterator[bytes]:
        try:
            yield first
            yield from blocks
        finally:
            blocks.close()

    return all_of_them()


def _blocks(source: AbstractContextManager[BinaryIO]) -> Generator[bytes]:
    with source as body:
        yield body.read(BLOCK)
        while block := body.read(BLOCK):
            yield block


class _Sent:
    """The request's body. A client that goes away before its end has sent nothing."""

    def __init__(self) -> None:
        self._left = request.content_length

    def read(self, size: int = -1) -> bytes:
        block = request.stream.read(size)
        if self._left is not None:
            self._left -= len(block)
            if not block and self._left:
                raise ClientDisconnected
        return block
