"""Who sends a request to the hosted registry: a client with a token, or a browser with a session.

A session is taken on the paths of MLflow's user interface alone. What changes something needs proof that one of our
own pages sent it: `Sec-Fetch-Site`, or the `Origin` where the browser sends no such header (plain http).
"""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import abort, redirect, request

from service.api.auth import identify
from service.api.own_pages import READING, from_own_page, sent_by_another_site
from service.api.request_ids import request_id
from service.domain.errors import NotAllowed, NotAuthenticated
from service.domain.identity import Principal
from service.hosting.sessions import Sessions
from service.usecases.sign_in import resume
from service.wiring import Parts

UI_PATHS = re.compile(r"/(|static-files/.*|ajax-api/.*|graphql|get-artifact|model-versions/get-artifact)", re.S)
LOGIN, CHOICE = "/login", "/environments/"


def of_the_ui(path: str) -> bool:
    """Whether the user interface asks for this path, as seen from the root of the view that it belongs to."""
    return UI_PATHS.fullmatch(path) is not None


def identify_browser_or_token(parts: Parts, sessions: Sessions) -> Principal:
    """Raises NotAuthenticated, NotAllowed; a browser that wants a page is sent to sign in instead."""
    if sent_by_another_site(sessions.origin):
        raise NotAllowed("Another site's page sent this.")
    ours = from_own_page(sessions.origin)
    if not of_the_ui(request.path) or "Authorization" in request.headers:
        return identify(parts)
    try:
        return _of_the_session(parts, sessions, ours)
    except NotAuthenticated:
        if wants_page():
            abort(redirect(f"{sessions.prefix}{LOGIN}?next={quote(_here(), safe='/')}", 303))
        raise


def _of_the_session(parts: Parts, sessions: Sessions, ours: bool | None) -> Principal:
    value = request.cookies.get(sessions.cookie, "")
    session = sessions.open(value, parts.clock()) if value else None
    if session is None:
        raise NotAuthenticated("Sign in, or send a token: `Authorization: Bearer <token>`.", header="Authorization")
    if not ours and (request.method not in READING or (ours is False and not _opened_by_a_link())):
        raise NotAllowed("Nothing shows that a page of this registry sent this.", header="Sec-Fetch-Site")
    return resume(parts.store, parts.clock(), session, request_id())


def wants_page() -> bool:
    """Whether someone looks at the answer; scripts and clients ask for anything (*/*) or JSON."""
    return request.method in READING and "text/html" in request.headers.get("Accept", "")


def _opened_by_a_link() -> bool:
    """A whole page rather than something for another site's page to use."""
    return (request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")) == ("navigate", "document")


def _here() -> str:
    query = f"?{request.query_string.decode('ascii', 'replace')}" if request.query_string else ""
    return f"{request.script_root}{request.path}{query}"
