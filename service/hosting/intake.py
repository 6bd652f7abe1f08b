"""What a request must be before MLflow sees it: text that Postgres can store, and one bounded JSON object.

MLflow parses the body again; that both readings agree is why duplicate keys, NaN and the like are refused here.
"""

from __future__ import annotations

import io
import json
import re
from math import isfinite
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_content_length, get_input_stream

from service.domain.errors import InvalidInput, NotAllowed, TooLarge
from service.hosting.graphql import check_query
from service.hosting.table import Route

MAX_BODY = 16 * 1024 * 1024
MAX_DEPTH = 50
MAX_FILTER = 8192
"""Characters of a filter and entries of an order: MLflow's parser takes more than linear time."""
LEAST, MOST = -(2**63), 2**64 - 1
"""Of the integers of protobuf."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CAPITAL = re.compile("[A-Z]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PARSED = ("filter", "filter_string", "order_by", "dataset_filter")
LOCATIONS = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")
"""Tags by which MLflow's server finds the files of a trace: with them one could read any place that it can."""
_OWN_PLACE = re.compile(r"mlflow-artifacts:/(?!/)(?!.*(?:/|^)\.\.(?:/|$))[^?#%\\]+")


def check_address(environ: dict[str, Any]) -> None:
    """Raises InvalidInput for a path or a query that is not UTF-8 or holds NUL."""
    query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
    if _BROKEN_ESCAPE.search(query):
        raise InvalidInput("The query has a % that begins no escape.", field="query")
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1", "replace")
    for name, raw in (("path", path), ("query", unquote_to_bytes(query.replace(b"+", b" ")))):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"The {name} is not UTF-8.", field=name) from None
        _check_text(text, name)


def taken(request: Request, route: Route) -> dict[str, Any]:
    """The JSON object in the body of a request, {} without a body; files are not read. Raises as `read_document`."""
    if "/mlflow-artifacts/artifacts" in route.path:
        return {}
    for name, value in request.args.items(multi=True):
        _check_length(name, value)
    document = read_document(request.environ)
    if route.path == "/graphql":
        check_query(document)
    return document


def read_document(environ: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of the body, {} without a body, which MLflow can then read again.

    Raises:
        TooLarge: above MAX_BODY.
        InvalidInput: for what is no JSON object, nests deeper than MAX_DEPTH, or holds what cannot be stored.
    """
    body = _bounded(environ)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    if not body:
        return {}
    try:
        document = json.loads(body.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput("The body's JSON is nested too deep.", field="body") from None
    except ValueError as error:  # bad UTF-8, bad JSON, a number with thousands of digits
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"The body is not JSON{place}.", field="body") from None
    if not isinstance(document, dict):
        raise InvalidInput("The body must be a JSON object.", field="body")
    if len({in_snake_case(name) for name in document}) < len(document):
        raise InvalidInput("The body has a field twice, as a_name and as aName.", field="body")
    _check_values(document)
    return document


def in_snake_case(name: str) -> str:
    """The name of a field as MLflow's clients write it: its server takes `runId` for `run_id`, too."""
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)


def _bounded(environ: dict[str, Any]) -> bytes:
    refusal = TooLarge(f"The body is over {MAX_BODY} bytes, the most that is read as JSON.", limit=MAX_BODY)
    if (get_content_length(environ) or 0) > MAX_BODY:
        raise refusal
    stream = get_input_stream(environ)
    blocks: list[bytes] = []
    left = MAX_BODY + 1
    try:
        while left and (block := stream.read(left)):
            blocks.append(block)
            left -= len(block)
    except (ClientDisconnected, OSError):
        raise InvalidInput("The body ended early.", field="body") from None
    if not left:
        raise refusal
    return b"".join(blocks)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidInput("The body's JSON has a key twice in one object.", field="body")
    return found


def _no_constant(name: str) -> Any:
    raise InvalidInput(f"{name} is no JSON; send it as text.", field="body")


def _check_values(document: dict[str, Any]) -> None:
    """Level by level, without recursion."""
    level: list[tuple[str, Any]] = [("", document)]
    for _ in range(MAX_DEPTH):
        below: list[tuple[str, Any]] = []
        for name, value in level:
            if isinstance(value, dict):
                for key in value:
                    _check_text(key, "a name in the body")
                _check_locations(value)
                below += value.items()
            elif isinstance(value, list):
                if len(value) > MAX_DEPTH and in_snake_case(name) in _PARSED:
                    raise InvalidInput(f"{name} has more than {MAX_DEPTH} entries.", field=name)
                below += [(name, item) for item in value]
            elif isinstance(value, str):
                _check_text(value, name)
                _check_length(name, value)
            elif isinstance(value, float) and name == "value" and isfinite(value):
                pass  # of a metric, where any finite one will do
            elif isinstance(value, int | float) and not LEAST <= value <= MOST:
                raise InvalidInput(f"{name[:80]!r} is a number out of range.", field=name[:80])
        if not below:
            return
        level = below
    raise InvalidInput("The body's JSON is nested too deep.", field="body")


def _check_text(text: str, name: str) -> None:
    if _UNSTORABLE.search(text):
        shown = _UNSTORABLE.sub("?", name)[:80]
        raise InvalidInput(f"{shown!r} holds a NUL or half a surrogate pair.", field=shown)


def _check_length(name: str, value: str) -> None:
    if len(value) > MAX_FILTER and in_snake_case(name) in _PARSED:
        raise InvalidInput(f"{name} is longer than {MAX_FILTER} characters.", field=name)


def _check_locations(fields: dict[str, Any]) -> None:
    """Tags come as {key: value} or as {"key": key, "value": value}."""
    for key, value in (*fields.items(), (fields.get("key"), fields.get("value"))):
        if key in LOCATIONS and not (isinstance(value, str) and _OWN_PLACE.fullmatch(value)):
            raise NotAllowed(f"The tag {key!r} must name a place in this registry: mlflow-artifacts:/…")
