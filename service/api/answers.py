"""Answers: a pydantic payload as JSON, with status and headers."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response
from pydantic import BaseModel


def answer(
    payload: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None, *, unset: bool = True
) -> Response:
    """`unset` false leaves out the fields that were not given."""
    response = Response(payload.model_dump_json(exclude_unset=not unset), status, mimetype="application/json")
    response.headers.update(dict(headers or {}))
    return response


def created_or_ok(payload: BaseModel, created: bool) -> Response:
    return answer(payload, 201 if created else 200)


def no_content() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response
