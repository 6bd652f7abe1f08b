"""The id of each request: the client's own, or a new one, told in every answer and kept with what it changes."""

from __future__ import annotations

import re
import uuid
from typing import cast

from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
_SAFE = re.compile(r"[A-Za-z0-9._:@/+=-]{1,64}")


def request_id() -> str:
    """The same for as long as the request lasts."""
    if "request_id" not in g:
        g.request_id = sent_or_new(request.headers.get(HEADER, ""))
    return cast(str, g.request_id)


def sent_or_new(sent: str) -> str:
    return sent if _SAFE.fullmatch(sent) else str(uuid.uuid4())


def install(app: Flask) -> None:
    """Tell the id in every answer of `app`."""

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        return response
