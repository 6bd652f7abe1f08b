"""The parts of the OpenAPI document that do not follow from the routes' own models."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask_openapi3 import OpenAPI
from pydantic import BaseModel


def problems(*statuses: int) -> dict[int, Any]:
    """Answers of these statuses with a problem document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def binary(mimetype: str, description: str) -> dict[str, Any]:
    """An answer of bytes."""
    return {"description": description, "content": {mimetype: {"schema": {"type": "string", "format": "binary"}}}}


def describe_json(app: OpenAPI, path: str, body: type[BaseModel]) -> None:
    """Say what JSON the POST of `path` takes beside other bodies, which the library knows only to be an object."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    app.api_doc["components"]["schemas"].update(schema.pop("$defs", {}))
    app.api_doc["components"]["schemas"][body.__name__] = schema
    content = app.api_doc["paths"][path]["post"]["requestBody"]["content"]
    content["application/json"]["schema"] = {"$ref": f"#/components/schemas/{body.__name__}"}


def finish(app: OpenAPI) -> None:
    """Mend what the library says by itself: a 422 of operations without input, and bodies that may be absent."""
    for item in app.api_doc["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody")
            if body is None and not operation.get("parameters"):
                operation["responses"].pop("422", None)
            if body is not None:
                body["required"] = True
