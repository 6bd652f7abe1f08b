"""Errors in MLflow's form, `{"error_code", "message"}`, which its clients raise as MlflowException."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException, RequestedRangeNotSatisfiable

from service.api.problem_documents import status_of
from service.domain import errors

log = logging.getLogger(__name__)

_CODES: dict[type[errors.RegistryError], str] = {
    errors.NotAuthenticated: "CUSTOMER_UNAUTHORIZED",
    errors.NotAllowed: "PERMISSION_DENIED",
    errors.NotFound: "RESOURCE_DOES_NOT_EXIST",
    errors.Conflict: "INVALID_STATE",
    errors.PreconditionFailed: "INVALID_STATE",
    errors.TooLarge: "INVALID_PARAMETER_VALUE",
    errors.Damaged: "IO_ERROR",
    errors.Unavailable: "TEMPORARILY_UNAVAILABLE",
    errors.RegistryError: "INTERNAL_ERROR",
    errors.InvalidInput: "INVALID_PARAMETER_VALUE",
}
"""Codes that clients of 1.30 know, too: these fail on any other before they tell the message."""


def code_of(error: errors.RegistryError) -> str:
    """MLflow's name for the kind of error."""
    if error.where.get("kind") == "endpoint":
        return "ENDPOINT_NOT_FOUND"  # on which clients fall back to an older route
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def install(app: Flask) -> None:
    """Answer every error of `app` in MLflow's form."""

    @app.errorhandler(errors.RegistryError)
    def registry_error(error: errors.RegistryError) -> Response:
        status = 400 if isinstance(error, errors.InvalidInput) else status_of(error)
        return error_answer(code_of(error), error.detail, status)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        code = "ENDPOINT_NOT_FOUND" if error.code == 404 else "BAD_REQUEST"
        response = error_answer(code, error.name, error.code or 500)
        if isinstance(error, RequestedRangeNotSatisfiable):
            response.headers["Content-Range"] = f"bytes */{error.length}"
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.exception("unexpected error in the hosted registry")
        return error_answer("INTERNAL_ERROR", "The service failed; its log has the reason.", 500)


def error_answer(code: str, message: str, status: int) -> Response:
    """In MLflow's form."""
    response = jsonify({"error_code": code, "message": message})
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="model-registry", Bearer realm="model-registry"'
    if status == 503:
        response.headers["Retry-After"] = "2"
    return response
