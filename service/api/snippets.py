"""Route of snippets: code that uses a stage."""

from __future__ import annotations

from typing import Literal

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import Field

from service.api import payloads as p
from service.api.auth import scoped
from service.api.paths import STAGE
from service.api.resolve import STAGES
from service.domain.environment import Place
from service.domain.example_inputs import inputs_of
from service.usecases.snippets import Use, snippet
from service.wiring import Parts

TEXT = {"description": "Code", "content": {"text/plain": {"schema": {"type": "string"}}}}


class SnippetQuery(p.Query):
    kind: Literal["python", "curl", "kserve", "mlserver", "spark", "fabric"] = Field(
        default="python", alias="for", description="what the code is for"
    )


def add_snippets(api: APIBlueprint, parts: Parts, public_url: str) -> None:
    @api.get(f"{STAGE}/snippet", tags=[STAGES], responses={200: TEXT})
    @scoped("read", "promote", parameter="environment")
    def get_snippet(path: p.StagePath, query: SnippetQuery) -> Response:
        """Code that uses the stage, with inputs that fit the signature of the version it holds."""
        place = Place(path.environment, path.model, path.stage)
        with parts.store.transaction() as tx:
            _, version = tx.stages.current(*place)
        use = Use(public_url, place, inputs_of(version.signature))
        return Response(snippet(query.kind, use), mimetype="text/plain", headers={"X-Content-Type-Options": "nosniff"})
