"""Routes of registered models and versions."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import quote

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import model_payloads as mp
from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal
from service.api.document import problems
from service.domain.model import ModelVersion
from service.usecases.read_models import get_model, get_version, list_models
from service.usecases.register_version import register_version
from service.wiring import Parts

MODELS = Tag(name="models", description="Registered models and their versions, which never change")


def add_models(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/models", tags=[MODELS], responses={200: mp.ModelsOut})
    @authenticated()
    def list_models_() -> Response:
        """The models that the token may see."""
        found = list_models(parts.store, principal())
        return answer(mp.ModelsOut(models=[mp.ModelOut.model_validate(model) for model in found]))

    @api.get("/models/<model>", tags=[MODELS], responses={200: mp.ModelOut})
    @authenticated()
    def get_model_(path: p.ModelPath) -> Response:
        """One model with the numbers of its versions."""
        return answer(mp.ModelOut.model_validate(get_model(parts.store, principal(), path.model)))

    @api.get("/models/<model>/versions/<version>", tags=[MODELS], responses={200: mp.VersionOut})
    @authenticated()
    def get_version_(path: p.VersionPath) -> Response:
        """One version with its digest and full lineage."""
        return answer(mp.VersionOut(**version_fields(get_version(parts.store, principal(), path.model, path.version))))

    @api.post("/models/<model>/versions", tags=[MODELS], responses={201: mp.VersionOut, **problems(409, 413, 415)})
    @authenticated()
    def create_version(path: p.NewModelPath, body: mp.VersionIn) -> Response:
        """Register a folder of a run's artifacts as the model's next version; its bytes are copied and frozen."""
        version = register_version(
            parts.store,
            parts.objects,
            parts.clock,
            principal(),
            path.model,
            body.run_id,
            body.artifact_path,
            parts.signer,
        )
        place = f"/v1/models/{quote(version.model, safe='')}/versions/{version.version}"
        return answer(mp.VersionOut(**version_fields(version)), 201, {"Location": place})


def version_fields(version: ModelVersion) -> dict[str, object]:
    withdrawn = version.withdrawn and mp.WithdrawalOut.model_validate(version.withdrawn)
    return {**vars(version), "lineage": asdict(version.lineage), "withdrawn": withdrawn}
