"""Routes of an environment's stages: what changes them, and the bytes they hand out; what they hold tells `resolve`."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint

from service.api import payloads as p
from service.api import promotion_payloads as pp
from service.api.answers import answer
from service.api.auth import principal, scoped
from service.api.document import binary, problems
from service.api.promotions import STAGE, asked, precondition
from service.api.resolve import STAGES, conditional, stage_answer
from service.domain.environment import Assignment, Place
from service.domain.model import ModelVersion
from service.domain.promotion import PromotionState
from service.usecases.hand_out import hand_out_files, read_stage
from service.usecases.promote import Request, promote
from service.usecases.sign_versions import last_bundle
from service.usecases.version_archive import version_archive
from service.wiring import Parts

PUT: dict[int, Any] = {200: p.StageOut, 202: pp.PromotionOut, **problems(409, 412, 413, 415)}
ARCHIVE = binary("application/x-tar", "The version's files")


def add_stages(api: APIBlueprint, parts: Parts, presign_seconds: int) -> None:
    @api.put(STAGE, tags=[STAGES], responses=PUT)
    @scoped("promote", parameter="environment")
    def put_stage(path: p.StagePath, header: pp.MatchHeaders, body: p.StageIn) -> Response:
        """Put a version into a stage: 200 when it is there, 202 when approvals are needed first."""
        place = Place(path.environment, path.model, path.stage)
        wanted = Request(place, version=body.version, comment=body.comment, precondition=precondition(header.if_match))
        with parts.store.transaction() as tx:
            promotion = promote(tx, parts.clock, principal(), wanted)
            if promotion.state is PromotionState.PENDING:
                return asked(promotion)
            return conditional(stage_answer(tx.stages.current(*place)))

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
            model=version.model,
            version=version.version,
            digest=version.digest,
            expires_in=presign_seconds,
            files=files,
            signature=last_bundle(parts.store, version.digest),
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


def _read(parts: Parts, path: p.StagePath, action: str) -> tuple[Assignment, ModelVersion]:
    place = (path.environment, path.model, path.stage)
    return read_stage(parts.store, parts.clock, parts.reads, principal(), *place, action)


def _tag(value: str) -> dict[str, str]:
    return {"ETag": f'"{value}"'}
