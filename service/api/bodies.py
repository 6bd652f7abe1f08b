"""Bodies of requests: JSON, whose type, size and depth are checked first, and archives, which are streamed."""

from __future__ import annotations

import json
from typing import IO, Any, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import ClientDisconnected, UnsupportedMediaType

from service.domain.errors import InvalidInput, TooLarge

M = TypeVar("M", bound=BaseModel)
MAX_JSON = 1024 * 1024


class ApiRequest(Request):
    """Reads JSON objects of at most MAX_JSON bytes; the archive of an import goes through `stream`, unbounded here."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body's object, whatever the arguments, which are those of the library that calls.

        Raises UnsupportedMediaType, TooLarge, or InvalidInput for what is no JSON object.
        """
        if not self.is_json:
            raise UnsupportedMediaType
        try:
            document = json.loads(self._bounded())
        except RecursionError:
            raise InvalidInput("The body's JSON is nested too deep.", field="body") from None
        except ValueError as error:  # bad UTF-8, bad JSON, a number with thousands of digits
            place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise InvalidInput(f"The body is not JSON{place}.", field="body") from None
        if not isinstance(document, dict):
            raise InvalidInput("The body must be a JSON object.", field="body")
        return document

    def _bounded(self) -> bytes:
        parts: list[bytes] = []
        left = MAX_JSON + 1
        while left and (block := self.stream.read(left)):
            parts.append(block)
            left -= len(block)
        if not left:
            raise TooLarge(f"The body is over {MAX_JSON} bytes, the most that is read as JSON.", limit=MAX_JSON)
        return b"".join(parts)


def parsed(model: type[M], request: Request) -> M:
    """The JSON body of a route that takes other bodies too. Raises InvalidInput naming the first wrong field."""
    try:
        return model.model_validate(request.get_json())
    except ValidationError as error:
        row = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in row["loc"])[:100] or "body"
        raise InvalidInput(f"Not valid: {field}. {row['msg']}.", field=field) from None


class Upload:
    """The bytes of an archive as they come in; what the client did not send after all ends them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except ClientDisconnected:
            return b""
