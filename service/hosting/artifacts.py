"""MLflow's artifact proxy (`/api/2.0/mlflow-artifacts`) over our object store: streamed, nothing lands on disk."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from flask import Blueprint, Response, jsonify, request

from service.domain.errors import NotFound
from service.hosting.artifact_store import ArtifactPath, artifact_path, list_folder
from service.usecases.object_ports import ObjectStore

BLOCK = 1024 * 1024
Guard = Callable[[ArtifactPath, bool], None]
"""(path, whether it is written) -> raises NotAllowed."""


def artifact_routes(name: str, objects: ObjectStore, guard: Guard) -> Blueprint:
    """List, download, upload and delete."""
    routes = Blueprint(name, __name__)

    @routes.get("/mlflow-artifacts/artifacts")
    def list_() -> Response:
        path = artifact_path(request.args.get("path", ""))
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

    @routes.get("/mlflow-artifacts/artifacts/<path:artifact>")
    def download(artifact: str) -> Response:
        path = artifact_path(artifact)
        guard(path, False)
        info = objects.stat(path.key)
        kind = mimetypes.guess_type(path.key)[0] or "application/octet-stream"
        response = Response(_blocks(objects, path.key), mimetype=kind)
        response.content_length = info.size
        # Artifacts are data of unknown origin: a browser must neither guess at them nor run them.
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = "sandbox"
        response.headers["Content-Disposition"] = "attachment"
        return response

    @routes.put("/mlflow-artifacts/artifacts/<path:artifact>")
    def upload(artifact: str) -> Response:
        path = artifact_path(artifact)
        guard(path, True)
        path.require_writable()
        objects.put(path.key, cast(BinaryIO, request.stream), request.content_length)
        return jsonify({})

    @routes.delete("/mlflow-artifacts/artifacts/<path:artifact>")
    def delete(artifact: str) -> Response:
        path = artifact_path(artifact)
        guard(path, True)
        path.require_writable()
        keys = [path.key, *(info.key for info in objects.list(path.key + "/"))]
        if len(keys) == 1 and not _is_there(objects, path.key):
            raise NotFound("artifact", artifact)
        objects.delete(keys)
        return jsonify({})

    return routes


def _is_there(objects: ObjectStore, key: str) -> bool:
    try:
        objects.stat(key)
    except NotFound:
        return False
    return True


def _blocks(objects: ObjectStore, key: str) -> Iterator[bytes]:
    with objects.open(key) as body:
        while block := body.read(BLOCK):
            yield block
