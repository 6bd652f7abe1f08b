"""Routes of an environment's stages: the hand-out."""

from __future__ import annotations

import hashlib

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import principal, scoped
from service.api.document import binary, problems
from service.api.models import version_fields
from service.domain.environment import Assignment
from service.domain.model import ModelVersion
from service.usecases.assign_stage import assign_stage
from service.usecases.hand_out import hand_out_files, read_stage, resolve_stage
from service.usecases.version_archive import version_archive
from service.wiring import Parts

STAGES = Tag(name="stages", description="The version that each stage of an environment hands out")
ARCHIVE = binary("application/x-tar", "The version's files")
STAGE = "/environments/<environment>/models/<model>/stages/<stage>"


def add_stages(api: APIBlueprint, parts: Parts, presign_seconds: int) -> None:
    @api.put(STAGE, tags=[STAGES], responses={200: p.StageOut, **problems(409, 413, 415)})
    @scoped("promote", parameter="environment")
    def put_stage(path: p.StagePath, body: p.StageIn) -> Response:
        """Put a version into a stage."""
        assign_stage(
            parts.store,
            parts.clock,
            principal(),
            path.environment,
            path.model,
            path.stage,
            body.version,
            body.comment,
        )
        return _handed(*resolve_stage(parts.store, path.environment, path.model, path.stage))

    @api.get(STAGE, tags=[STAGES], responses={200: p.StageOut, 304: None})
    @scoped("read", "promote", parameter="environment")
    def get_stage(path: p.StagePath, header: p.StageHeaders) -> Response:
        """The version that the stage hands out now; send its ETag as If-None-Match to hear of changes only."""
        response = _handed(*_read(parts, path, "stage.read"))
        response.make_conditional(request)
        return response

    @api.get(f"{STAGE}/files", tags=[STAGES], responses={200: p.FilesOut})
    @scoped("read", "promote", parameter="environment")
    def get_stage_files(path: p.StagePath) -> Response:
        """The version's files, each with size, SHA-256 and a URL that needs no token."""
        version, links = hand_out_files(
            parts.store,
            parts.objects,
            parts.clock,
            principal(),
            path.environment,
            path.model,
            path.stage,
            presign_seconds,
        )
        files = [p.FileOut(**vars(link.file), url=link.url) for link in links]
        shown = p.FilesOut(
            model=version.model, version=version.version, digest=version.digest, expires_in=presign_seconds, files=files
        )
        return answer(shown, headers={"Cache-Control": "private, no-store", **_tag(version.digest)})

    @api.get(f"{STAGE}/archive", tags=[STAGES], responses={200: ARCHIVE, 304: None})
    @scoped("read", "promote", parameter="environment")
    def get_stage_archive(path: p.StagePath, header: p.StageHeaders) -> Response:
        """The version's files as one tar, the same bytes for the same digest."""
        _, version = _read(parts, path, "archive.read")
        archive = version_archive(parts.store, parts.objects, version.digest)
        response = Response(archive.blocks, mimetype="application/x-tar")
        response.content_length = archive.size
        response.headers["Content-Disposition"] = f'attachment; filename="{version.digest.replace(":", "-")}.tar"'
        response.headers["X-Model-Digest"] = version.digest
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers.update(_tag(version.digest))
        response.make_conditional(request)
        return response

    @api.get("/environments/<environment>/stages", tags=[STAGES], responses={200: p.AssignmentsOut})
    @scoped("read", "promote", parameter="environment")
    def list_stages(path: p.EnvironmentPath) -> Response:
        """Everything the environment's stages hold."""
        with parts.store.transaction() as tx:
            environment = tx.environments.get(path.environment)
            held = tx.stages.list(path.environment)
        rows = [p.AssignmentOut.model_validate(assignment) for assignment in held]
        return answer(p.AssignmentsOut(environment=environment.name, stages=list(environment.stages), assignments=rows))


def _read(parts: Parts, path: p.StagePath, action: str) -> tuple[Assignment, ModelVersion]:
    place = (path.environment, path.model, path.stage)
    return read_stage(parts.store, parts.clock, parts.reads, principal(), *place, action)


def _tag(value: str) -> dict[str, str]:
    return {"ETag": f'"{value}"'}


def _handed(assignment: Assignment, version: ModelVersion) -> Response:
    """The ETag is of the whole answer: revision and digest, and whatever else it tells."""
    shown = p.StageOut(**{**version_fields(version), **vars(assignment)})
    etag = hashlib.sha256(
        f"{assignment.environment}\n{assignment.stage}\n{assignment.revision}\n{version.digest}".encode()
    )
    headers = {"Cache-Control": "private, no-cache", "X-Model-Digest": version.digest, **_tag(etag.hexdigest())}
    return answer(shown, headers=headers)
