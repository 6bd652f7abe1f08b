"""What a browser may do with each answer of the hosted registry.

Artifacts come from whoever could log a run: none of them may act in the name of the user who looks at it. The user
interface may run its own scripts only, and talk to this registry only.
"""

from __future__ import annotations

import re

from flask import Flask, Response, redirect, request

from service.hosting.browsers import CHOICE, of_the_ui, wants_page
from service.hosting.sessions import Sessions

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers would hide the Origin of forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
INERT = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""Data: not a script, not a form, not a frame, and of no origin."""

UI = (
    "default-src 'none'; script-src {script}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src blob:; media-src blob:; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
"""MLflow's pages set styles in scripts, hence 'unsafe-inline' there; HTML artifacts are shown in blob: frames, which
take over this policy."""

_HASHED = re.compile(r"/static-files/(static/|[^/]*\.[0-9a-f]{16,}\.).*", re.S)
CHALLENGE = 'Bearer realm="model-registry"'


def ui_policy(nonce: str) -> str:
    """For the one page of the user interface, whose scripts carry the nonce and load further ones.

    Plotly, which draws the comparison of runs, makes its shaders' code with eval.
    """
    return UI.format(script=f"'nonce-{nonce}' 'strict-dynamic' 'unsafe-eval'")


def install(app: Flask, sessions: Sessions) -> None:
    """Put them on every answer of `app`, whose paths are those of MLflow."""

    @app.after_request
    def add(response: Response) -> Response:
        if response.status_code == 403 and request.path == "/" and wants_page():
            response = app.make_response(redirect(f"{sessions.prefix}{CHOICE}", 303))
        for name, value in ALWAYS.items():
            response.headers[name] = value
        if request.path.startswith("/static-files/") and response.status_code < 400:
            # A worker's script is held to its own policy, not to that of its page.
            response.headers["Content-Security-Policy"] = UI.format(script="'self'")
            kept = "max-age=31536000, immutable" if _HASHED.fullmatch(request.path) else "no-cache"
            response.headers["Cache-Control"] = f"private, {kept}"
            return response
        if request.path != "/" or response.status_code != 200:
            response.headers["Content-Security-Policy"] = INERT
        if of_the_ui(request.path):
            response.headers["Cache-Control"] = "no-store"
            if response.status_code == 401:
                response.headers["WWW-Authenticate"] = CHALLENGE  # no browser asks for a password by itself
        response.headers.setdefault("Cache-Control", "no-store")
        return response
