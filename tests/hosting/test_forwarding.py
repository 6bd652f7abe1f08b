"""What becomes of MLflow's errors: the kind stays, and what a client has no business to see goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, Response

from service.domain.errors import NotFound
from service.hosting.forwarding import ask, remember_raised
from service.hosting.table import Permission, Route

ROUTE = Route("/some/route", {}, Permission.BROWSE)
SQL = "\n[SQL: INSERT INTO runs (name) VALUES (%(name)s)]\n[parameters: {'name': 'secret'}]"


def asked(answer: Any, status: int = 200) -> tuple[int, dict[str, Any]]:
    """Of an application that answers so, or raises it."""
    theirs = Flask("theirs")
    remember_raised(theirs)

    @theirs.get("/")
    def view() -> Response:
        if isinstance(answer, Exception):
            raise answer
        return Response(json.dumps(answer) if isinstance(answer, dict) else answer, status)

    ours = Flask("ours")
    with ours.test_request_context("/") as context:
        got = ask(theirs.wsgi_app, context.request.environ, ROUTE)
        return got.status_code, json.loads(got.get_data())


def test_good_answers_and_plain_refusals_stay() -> None:
    assert asked({"a": [1]}) == (200, {"a": [1]})
    refusal = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment with id=7 exists"}
    assert asked({**refusal, "sqlstate": "KAM00"}, 404) == (404, refusal)


@pytest.mark.parametrize(
    ("driver", "status", "code"),
    [
        ("errors.StringDataRightTruncation", 400, "INVALID_PARAMETER_VALUE"),
        ("errors.NumericValueOutOfRange", 400, "INVALID_PARAMETER_VALUE"),
        ("errors.UniqueViolation", 400, "RESOURCE_ALREADY_EXISTS"),
        ("errors.ForeignKeyViolation", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("OperationalError", 503, "TEMPORARILY_UNAVAILABLE"),
        ("InternalError", 400, "BAD_REQUEST"),
        ("no.such", 400, "BAD_REQUEST"),
    ],
)
def test_what_the_database_said(driver: str, status: int, code: str) -> None:
    message = f"(psycopg2.{driver}) something at host db.internal{SQL}"
    got, told = asked({"error_code": "BAD_REQUEST", "message": message}, 400)
    assert (got, told["error_code"]) == (status, code)
    for word in ("psycopg2", "SQL", "secret", "db.internal"):
        assert word not in told["message"]


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), ValueError("/etc/secret"), RecursionError()])
def test_code_that_expected_another_shape(error: Exception) -> None:
    status, told = asked(error)
    assert (status, told) == (400, {"error_code": "BAD_REQUEST", "message": "A value is missing or of the wrong kind."})


def test_a_failure_is_a_failure() -> None:
    for answer in (OSError("no space left on /var/data"), "<html>500</html>"):
        status, told = asked(answer, 500)
        assert (status, told["error_code"]) == (500, "INTERNAL_ERROR")
        assert "/var" not in told["message"]
    status, told = asked({"error_code": "INTERNAL_ERROR", "message": "something else"}, 500)
    assert (status, told["message"]) == (500, "MLflow failed; the service's log has the reason.")


def test_errors_of_our_own_code_stay() -> None:
    with pytest.raises(NotFound, match="artifact"):
        asked(NotFound("artifact", "a/b"))


@pytest.mark.parametrize(
    "message", ["No such file: '/tmp/x/y'", 'File "x"', "see handlers.py", "<object at 0x7f>", "registry-objects:/1"]
)
def test_private_words_go(message: str) -> None:
    status, told = asked({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400)
    assert (status, told["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert told["message"] == "A value is missing or of the wrong kind."


def test_the_page_of_a_missing_file() -> None:
    status, told = asked("<html>not found</html>", 404)
    assert (status, told["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
