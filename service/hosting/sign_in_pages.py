"""Our own pages: sign in, sign out, and the choice of an environment."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from service.api import request_ids
from service.api.own_pages import from_own_page
from service.api.problem_documents import status_of
from service.domain import errors
from service.domain.environment import Environment
from service.domain.errors import NotAllowed, NotAuthenticated
from service.domain.identity import BROWSE, Principal, Scope, Session
from service.hosting.browsers import CHOICE, LOGIN
from service.hosting.page_headers import ALWAYS, CHALLENGE
from service.hosting.sessions import Sessions
from service.usecases.sign_in import resume, sign_in, sign_out
from service.wiring import Parts

log = logging.getLogger(__name__)

LOGOUT, FILES = "/logout", "/web/"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAX_FORM = 16 * 1024
WEB = Path(__file__).parent.parent / "web"
_NEXT = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\U0010ffff]{0,2000}")


def is_page(path: str) -> bool:
    """Whether the path is one of ours rather than MLflow's."""
    return path in (LOGIN, LOGOUT, CHOICE, CHOICE.rstrip("/")) or path.startswith(FILES)


def make_sign_in_pages(parts: Parts, sessions: Sessions) -> Flask:
    app = Flask(
        "sign_in", template_folder=str(WEB / "templates"), static_folder=str(WEB / "static"), static_url_path="/web"
    )
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_FORM
    app.url_map.merge_slashes = False
    request_ids.install(app)
    _install(app, sessions)

    @app.get(LOGIN)
    def form() -> AnyResponse:
        sessions.require_keys()
        return _form()

    @app.post(LOGIN)
    def enter() -> AnyResponse:
        _require_own_page(sessions)
        sessions.require_keys()
        try:
            by = sign_in(parts.store, parts.clock, request.form.get("token", "").strip(), request_ids.request_id())
        except NotAuthenticated:
            return _form(refused=True)
        response = redirect(sessions.prefix + _next(), 303)
        sessions.give(response, sessions.seal(by.token_id, parts.clock()))
        return response

    @app.post(LOGOUT)
    def leave() -> AnyResponse:
        _require_own_page(sessions)
        session = _session(parts, sessions)
        by = _signed_in(parts, session)
        if session is not None and by is not None:
            sign_out(parts.store, parts.clock, by, session, timedelta(seconds=sessions.seconds))
        response = redirect(sessions.prefix + LOGIN, 303)
        sessions.take(response)
        return response

    @app.get(CHOICE, strict_slashes=False)
    def choose() -> AnyResponse:
        by = _signed_in(parts, _session(parts, sessions))
        if by is None:
            return redirect(f"{sessions.prefix}{LOGIN}?next={CHOICE}", 303)
        with parts.store.transaction() as tx:
            shown = [item for item in tx.environments.list() if _may_see(by, item)]
        return _page("environments.html", by=by, environments=shown, opens=by.may(BROWSE))

    return app


def _install(app: Flask, sessions: Sessions) -> None:
    """Headers and errors of our own pages."""
    app.jinja_env.globals["prefix"] = sessions.prefix

    @app.after_request
    def add(response: Response) -> Response:
        response.headers.update({**ALWAYS, "Content-Security-Policy": POLICY})
        if not request.path.startswith(FILES):
            response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(errors.RegistryError)
    def registry_error(error: errors.RegistryError) -> AnyResponse:
        return _page("message.html", status_of(error), title=error.title, text=error.detail)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> AnyResponse:
        return _page("message.html", error.code or 500, title=error.name, text=error.description or "")

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> AnyResponse:
        log.exception("unexpected error in %s %s", request.method, request.path)
        return _page("message.html", 500, title="The service failed", text="Its log has the reason.")


def _page(template: str, status: int = 200, **values: object) -> Response:
    return Response(render_template(template, **values), status, mimetype="text/html")


def _form(refused: bool = False) -> Response:
    response = _page("login.html", 401 if refused else 200, refused=refused)
    if refused:
        response.headers["WWW-Authenticate"] = CHALLENGE
    return response


def _next() -> str:
    """Where to go afterwards: an address of ours, whatever the link to this page said."""
    wanted = request.args.get("next", "")
    return wanted if _NEXT.fullmatch(wanted) else CHOICE


def _require_own_page(sessions: Sessions) -> None:
    if not from_own_page(sessions.origin):
        raise NotAllowed("Nothing shows that a page of this registry sent this; open its sign-in page and try again.")


def _session(parts: Parts, sessions: Sessions) -> Session | None:
    return sessions.open(request.cookies.get(sessions.cookie, ""), parts.clock())


def _signed_in(parts: Parts, session: Session | None) -> Principal | None:
    if session is None:
        return None
    try:
        return resume(parts.store, parts.clock(), session, request_ids.request_id())
    except NotAuthenticated:
        return None


def _may_see(by: Principal, environment: Environment) -> bool:
    return any(by.may(scope) for scope in (BROWSE, Scope("read", environment.name), Scope("promote", environment.name)))
