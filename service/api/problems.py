"""The only place where an exception becomes an HTTP answer: RFC 9457, `application/problem+json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, RequestedRangeNotSatisfiable

from service.api.problem_documents import TYPE, problem_document, status_of
from service.domain import errors

log = logging.getLogger(__name__)
FIELDS = 20


def problem_response(document: dict[str, Any]) -> Response:
    response = Response(
        json.dumps(document, ensure_ascii=True), document["status"], mimetype="application/problem+json"
    )
    if document["status"] == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="model-registry", Basic realm="model-registry"'
    if document["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "2"
    return response


def from_validation(error: ValidationError) -> Response:
    """The request's own fields, each with what is wrong with it; never the value, which may be a secret.

    The first FIELDS of them, their names cut: an answer is not to grow with what was sent.
    """
    rows = error.errors(include_url=False, include_context=False, include_input=False)[:FIELDS]
    fields = [{"field": ".".join(str(part) for part in row["loc"])[:100], "message": row["msg"]} for row in rows]
    named = ", ".join(row["field"] for row in fields if row["field"]) or "the body"
    problem = errors.InvalidInput(f"Not valid: {named}. {fields[0]['message']}." if fields else "Not valid.")
    return problem_response({**problem_document(problem), "fields": fields})


def install(app: Flask) -> None:
    """Answer every error of `app` with a problem."""

    @app.errorhandler(errors.RegistryError)
    def registry_error(error: errors.RegistryError) -> Response:
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s: %s", error.slug, error.detail, exc_info=error.__cause__)
        return problem_response(problem_document(error))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or 500)
        # Python's own word for a 416 is another one in newer versions.
        slug = status.phrase.removeprefix("Requested ").lower().replace(" ", "-")
        document = {"type": TYPE + slug, "title": status.phrase, "status": int(status), "detail": _detail(status)}
        response = problem_response(document)
        if isinstance(error, RequestedRangeNotSatisfiable):
            response.headers["Content-Range"] = f"bytes */{error.length}"
        allowed: Iterable[str] | None = getattr(error, "valid_methods", None)
        if allowed:
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.exception("unexpected error in %s %s", request.method, request.path)
        return problem_response(problem_document(errors.RegistryError("The service failed; its log has the reason.")))


def _detail(status: HTTPStatus) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return "No such address; /docs lists all of them."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return "The address is there, the method is not; the Allow header lists those that are."
        case HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return "Send the body as JSON, with `Content-Type: application/json`."
        case _:
            return status.description or status.phrase
