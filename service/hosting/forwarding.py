"""Asks MLflow's application, and makes of its errors what a client may see.

MLflow's handlers put whatever was raised into their answers: SQL with its parameters, hosts, paths. Nothing is known
here of single handlers: an answer is judged by its status, by its text, and by the exception that Flask told of.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2
import psycopg2.errors
from flask import Flask, Response, got_request_exception, request
from werkzeug.test import run_wsgi_app

from service.domain.errors import RegistryError
from service.hosting.mlflow_errors import error_answer
from service.hosting.table import Route

log = logging.getLogger(__name__)
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
RAISED = "model_registry.raised"
"""In the WSGI environment: a list that takes what MLflow's application raised."""

_DRIVER = re.compile(r"psycopg2\.(?:errors\.)?(\w+)")
_PRIVATE = re.compile(
    r"Traceback|File \"|\.py\b|psycopg|sqlalchemy|sqlalche\.me|\[SQL|\bparameters: [{(\[]|\bobject at 0x"
    r"|registry-objects:|\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b|\bpostgres|\bhost(name)?=|connection to server"
    r"|(?<![\w:/.])/(tmp|home|usr|var|opt|root|proc|etc|app|srv|mnt)/"
)
_MISSING = re.compile(r"failures occurred while downloading.*There is no object", re.DOTALL)
_MISFIT = re.compile(
    r"invalid literal for|could not convert|\bobject (has no attribute|is not|does not support)|\bmust be \w+, not"
    r"|argument must be|unhashable|out of range|unsupported operand|not supported between|required positional argument"
    r"|unexpected keyword argument|\bis not a valid \w+|Expecting value|cannot convert|has no value defined"
    r"|too large to convert|not enough values|codec can't|only ASCII|Incorrect padding|Invalid base64"
)
"""What Python says about input of another shape than expected, when MLflow has put it into an error of its own."""
_SHAPES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)
"""What Python raises in code that expects another shape of input: MLflow's handlers hardly check any."""


def remember_raised(application: Flask) -> None:
    """Let `ask` know what `application` raised."""
    got_request_exception.connect(_remember, application)


def _remember(sender: Flask, exception: BaseException, **_: Any) -> None:
    request.environ.get(RAISED, []).append(exception)


def ask(mlflow: Wsgi, environ: dict[str, Any], route: Route) -> Response:
    """MLflow's answer: as it is when it is good, in MLflow's form and without private words when it is not.

    Raises the RegistryError of our own code that MLflow called.
    """
    raised: list[Any] = []
    environ[RAISED] = raised
    environ["PATH_INFO"] = route.successor or environ["PATH_INFO"]
    answer = Response(*run_wsgi_app(mlflow, environ))
    if answer.status_code < 400:
        return _without_private_errors(answer) if route.path == "/graphql" else answer
    status, text = answer.status_code, answer.get_data(as_text=True)
    answer.close()
    if raised and isinstance(raised[0], RegistryError):
        raise raised[0]
    if raised and hasattr(raised[0], "serialize_as_json"):  # MLflow's own, in a handler that does not expect it
        status, text = raised[0].get_http_status_code(), raised[0].serialize_as_json()
    told = _told(text)
    code, message = str(told.get("error_code", "")), str(told.get("message", ""))
    status = _STATUS.get(code, status)
    if status < 500 and code and not _PRIVATE.search(message):
        return error_answer(code, message, status)
    reason = text.partition("[SQL")[0][:500]  # without the values that it was run with
    log.warning("MLflow answered %s: %s", status, reason, exc_info=raised[0] if raised else None)
    return error_answer(*_replaced(status, code, text, raised))


def _told(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _replaced(status: int, code: str, text: str, raised: list[BaseException]) -> tuple[str, str, int]:
    """Code, message and status in place of an answer that says too much, too little, or blames the service."""
    kind = _of_driver(text + (str(raised[0]) if raised else ""))
    if issubclass(kind, psycopg2.errors.UniqueViolation):
        return "RESOURCE_ALREADY_EXISTS", "That is there already.", 400
    if issubclass(kind, psycopg2.errors.ForeignKeyViolation):
        return "RESOURCE_DOES_NOT_EXIST", "Something that the request names is not there.", 404
    if issubclass(kind, psycopg2.DataError | psycopg2.IntegrityError | psycopg2.ProgrammingError):
        return "INVALID_PARAMETER_VALUE", "A value is too long, out of range or of the wrong kind.", 400
    if status == 503 or issubclass(kind, psycopg2.OperationalError):
        return "TEMPORARILY_UNAVAILABLE", "The database does not answer; try again.", 503
    if _MISSING.search(text):
        return "RESOURCE_DOES_NOT_EXIST", "There is no such artifact.", 404
    if (raised and isinstance(raised[0], _SHAPES)) or (code and _MISFIT.search(text)):
        return "BAD_REQUEST", "A value is missing or of the wrong kind.", 400
    if status >= 500:
        return "INTERNAL_ERROR", "MLflow failed; the service's log has the reason.", 500
    return code or _CODES.get(status, "BAD_REQUEST"), _MESSAGES.get(status, "The request was refused."), status


def _of_driver(text: str) -> type:
    """The exception of the database's driver that a text tells of; `object` when it tells of none."""
    for name in _DRIVER.findall(text):
        kind = getattr(psycopg2.errors, name, getattr(psycopg2, name, None))
        if isinstance(kind, type):
            return kind
    return object


_STATUS = {"INVALID_STATE": 409}
"""Of codes for which MLflow has none but 500."""
_CODES = {404: "RESOURCE_DOES_NOT_EXIST", 405: "ENDPOINT_NOT_FOUND", 403: "PERMISSION_DENIED"}
_MESSAGES = {404: "There is no such thing here.", 400: "A value is missing or of the wrong kind."}


def _without_private_errors(answer: Response) -> Response:
    """Of GraphQL, which tells errors in an answer of 200."""
    document = _told(answer.get_data(as_text=True))
    errors = document.get("errors") or []
    document["errors"] = [
        "The query failed." if _PRIVATE.search(str(error)) else str(error) for error in errors
    ] or None
    answer.set_data(json.dumps(document))
    return answer
