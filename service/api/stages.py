"""The route that changes an environment's stages; what they hold tells `resolve`, their bytes `version_bytes`."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint

from service.api import model_payloads as mp
from service.api import payloads as p
from service.api import promotion_payloads as pp
from service.api.auth import principal, scoped
from service.api.document import problems
from service.api.paths import STAGE
from service.api.promotions import asked, precondition
from service.api.resolve import STAGES, conditional, stage_answer
from service.domain.environment import Place
from service.domain.promotion import PromotionState
from service.usecases.promote import Request, promote
from service.wiring import Parts

PUT: dict[int, Any] = {200: mp.StageOut, 202: pp.PromotionOut, **problems(409, 412, 413, 415)}


def add_stages(api: APIBlueprint, parts: Parts) -> None:
    @api.put(STAGE, tags=[STAGES], responses=PUT)
    @scoped("promote", parameter="environment")
    def put_stage(path: p.StagePath, header: pp.MatchHeaders, body: mp.StageIn) -> Response:
        """Put a version into a stage: 200 when it is there, 202 when approvals are needed first."""
        place = Place(path.environment, path.model, path.stage)
        wanted = Request(place, version=body.version, comment=body.comment, precondition=precondition(header.if_match))
        with parts.store.transaction() as tx:
            promotion = promote(tx, parts.clock, principal(), wanted)
            if promotion.state is PromotionState.PENDING:
                return asked(promotion)
            return conditional(stage_answer(tx.stages.current(*place)))
