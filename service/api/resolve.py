"""Routes that tell what stages hold: one of a model, some, or all of an environment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag

from service.api import hand_out_payloads as hp
from service.api import model_payloads as mp
from service.api import payloads as p
from service.api.auth import identified_by, principal, scoped
from service.api.models import version_fields
from service.api.paths import STAGE
from service.api.request_ids import request_id
from service.domain.environment import Assignment, Place
from service.domain.errors import InvalidInput, NotAuthenticated, NotFound
from service.domain.identity import Principal, secret_hash
from service.domain.model import ModelVersion
from service.usecases.hand_out import read_stage
from service.usecases.hand_out_ports import Held, Holding
from service.usecases.read_history import stage_at
from service.usecases.resolve import READING, Asked, Resolver
from service.usecases.stage_ports import Answer
from service.wiring import Parts

STAGES = Tag(name="stages", description="The version that each stage of an environment hands out")
HELD: dict[int, Any] = {200: mp.AssignmentsOut, 304: None}
CACHED = {"Cache-Control": "private, no-cache"}
"""Kept by the client alone, and asked for again each time: a 304 costs next to nothing."""


def add_resolve(api: APIBlueprint, parts: Parts) -> None:
    identified = identified_by(_reading(parts.resolver))

    @api.get(STAGE, tags=[STAGES], responses={200: mp.StageOut, 304: None})
    @identified
    @scoped(*READING, parameter="environment")
    def get_stage(path: p.StagePath, query: hp.WatchedStageQuery, header: mp.StageHeaders) -> Response:
        """The version that the stage hands out now; send its ETag as If-None-Match to hear of changes only."""
        place = Place(path.environment, path.model, path.stage)
        if query.at is not None:
            return conditional(stage_answer(stage_at(parts.store, place, query.at)))
        if parts.reads.share:
            return conditional(stage_answer(read_stage(parts.store, parts.clock, parts.reads, principal(), *place)))
        return conditional(_found())

    @api.get("/environments/<environment>/stages", tags=[STAGES], responses=HELD)
    @identified
    @scoped(*READING, parameter="environment")
    def list_stages(path: p.EnvironmentPath, query: hp.HeldQuery, header: mp.StageHeaders) -> Response:
        """Everything the environment's stages hold, or what they hold of some models: one document, one ETag."""
        return conditional(_found())

    @api.get("/environments/<environment>/stages/<stage>", tags=[STAGES], responses=HELD)
    @identified
    @scoped(*READING, parameter="environment")
    def list_stage(path: hp.EnvironmentStagePath, query: hp.HeldQuery, header: mp.StageHeaders) -> Response:
        """What one stage of the environment holds, of all models or of some: one document, one ETag."""
        return conditional(_found())


def _reading(resolver: Resolver) -> Any:
    """Who asks, read in one SELECT with the answer, which then is in `g.found`."""

    def identify(secret: str, given: Mapping[str, str]) -> Principal:
        if not secret:
            raise NotAuthenticated("Send a token: `Authorization: Bearer <token>`.", header="Authorization")
        hash, asked = secret_hash(secret), _asked(given)
        try:
            token, g.found = resolver.read(hash, asked, _present(asked))
        except InvalidInput as error:  # what is asked for cannot be stored; who asks comes first all the same
            token, g.found = resolver.token(hash), error
        return replace(token.principal, request_id=request_id())

    return identify


def _asked(given: Mapping[str, str]) -> Asked:
    if "model" in given:
        return Place(given["environment"], given["model"], given["stage"])
    return holding(given["environment"], given.get("stage", ""), request.args.getlist("model"))


def holding(environment: str, stage: str, models: list[str]) -> Holding:
    """The same question for the same models, in whatever order; of more than may be asked for only those."""
    return Holding(environment, stage, tuple(sorted(set(models[: hp.MODELS]))))


def _present(asked: Asked) -> Any:
    return stage_answer if isinstance(asked, Place) else held_answer


def _found() -> Answer:
    found = g.found
    if isinstance(found, NotFound | InvalidInput):
        raise found
    return cast(Answer, found)


def stage_answer(found: tuple[Assignment, ModelVersion]) -> Answer:
    """The ETag is of the place, revision and digest, which decide about all that the answer tells."""
    assignment, version = found
    shown = mp.StageOut(**{**version_fields(version), **vars(assignment)})
    headers = {**CACHED, "X-Model-Digest": version.digest, "ETag": f'"{assignment.tag}"'}
    return Answer(200, shown.model_dump_json().encode(), headers)


def held_answer(held: Held) -> Answer:
    """The ETag is the SHA-256 of the body, whose order is that of code points."""
    rows = [mp.AssignmentOut.model_validate(assignment) for assignment in held.assignments]
    shown = mp.AssignmentsOut(environment=held.environment, stages=list(held.stages), assignments=rows)
    body = shown.model_dump_json().encode()
    return Answer(200, body, {**CACHED, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'})


def conditional(answer: Answer) -> Response:
    """304 when the client has it already."""
    response = Response(answer.body, answer.status, mimetype="application/json")
    response.headers.update(dict(answer.headers))
    response.make_conditional(request)
    return response
