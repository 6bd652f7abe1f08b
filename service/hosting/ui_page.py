"""What MLflow's user interface gets from us: its page, with a script of ours first, and that there is no gateway."""

from __future__ import annotations

import re
import secrets
from importlib.util import find_spec
from pathlib import Path

from flask import Response, jsonify

from service.hosting.page_headers import ui_policy
from service.hosting.sessions import Sessions

_SCRIPT = re.compile(r"<script(?=[\s>])")


class UiPage:
    """Read once; each answer has a nonce of its own."""

    def __init__(self, sessions: Sessions) -> None:
        page, found = _SCRIPT.subn('<script nonce="{nonce}"', _index().read_text(encoding="utf-8"))
        head, end, rest = page.partition("</title>")
        if not found or not end:
            raise RuntimeError("This MLflow's index.html is not the page that this service knows.")
        web = f"{sessions.prefix}/web"
        ours = f'<link href="{web}/bar.css" rel="stylesheet"><script nonce="{{nonce}}" src="{web}/bar.js"></script>'
        self._page = head + end + ours + rest

    def answer(self, path: str) -> Response | None:
        """None for what MLflow answers."""
        match path:
            case "/":
                return self._whole()
            case "/ajax-api/2.0/mlflow/gateway-proxy":
                # The list of runs asks for it, and shows the user an error unless it gets this.
                return jsonify({"endpoints": []})
            case _:
                return None

    def _whole(self) -> Response:
        nonce = secrets.token_urlsafe(16)
        response = Response(self._page.replace("{nonce}", nonce), mimetype="text/html")
        response.headers["Content-Security-Policy"] = ui_policy(nonce)
        return response


def _index() -> Path:
    """Found without importing MLflow, which takes a second."""
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("MLflow is not installed.")
    return Path(spec.submodule_search_locations[0]) / "server" / "js" / "build" / "index.html"
