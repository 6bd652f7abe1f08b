"""Routes that tell whether the service is well."""

from __future__ import annotations

from importlib.metadata import version

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import anyone
from service.api.document import problems
from service.wiring import Parts

STATUS = Tag(name="status", description="Whether the service is well")


def add_status(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/healthz", tags=[STATUS], responses={200: p.Health}, security=[])
    @anyone()
    def healthz() -> Response:
        """The process answers."""
        return answer(p.Health(status="ok"))

    @api.get("/readyz", tags=[STATUS], responses={200: p.Health, **problems(503)}, security=[])
    @anyone()
    def readyz() -> Response:
        """Postgres and S3 answer, and the schema is at head."""
        parts.store.check()
        parts.objects.check()
        return answer(p.Health(status="ready"))

    @api.get("/version", tags=[STATUS], responses={200: p.VersionInfo}, security=[])
    @anyone()
    def version_() -> Response:
        """The versions of this service and of the MLflow it hosts."""
        return answer(p.VersionInfo(version=version("model-registry"), mlflow=version("mlflow")))
