"""Before Flask: answers that are known already, which costs a tenth, and requests that wait for another answer.

Nothing is decided here that a route has not decided: what is kept was an answer of the route, a token that is not known
to be good or lacks the scope is the route's to refuse, and who waits is the route asked again.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from werkzeug.http import parse_etags
from werkzeug.wrappers import Response

from service.api.auth import secret_of
from service.api.hand_out_payloads import MODELS, WAIT
from service.api.problem_documents import problem_document
from service.api.problems import problem_response
from service.api.request_ids import HEADER, sent_or_new
from service.api.resolve import holding
from service.domain.environment import Place
from service.domain.errors import NotAuthenticated, Unavailable
from service.domain.identity import secret_hash
from service.usecases.follow_changes import Tag, holding_tags, place_tags, token_tag
from service.usecases.resolve import Asked, may_read
from service.usecases.stage_ports import Answer
from service.wiring import Parts

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]
_PLACE = re.compile(r"/v1/environments/([^/]+)/(?:models/([^/]+)/)?stages(?:/([^/]+))?", re.ASCII)
ESTABLISHED = 1
"""The state of a TCP connection whose other end has closed nothing."""


class Question(NamedTuple):
    """`wait`: seconds; `query`: the rest of the query, as it was sent."""

    asked: Asked
    wait: int
    query: str


class Front:
    def __init__(self, app: Wsgi, parts: Parts) -> None:
        self._app = app
        self._resolver = parts.resolver
        self._following = parts.resolver.following
        self._under_way: dict[Asked, threading.Event] = {}
        self._recorded = parts.reads.share > 0

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        question = _question(environ)
        if question is None:
            return self._app(environ, start_response)
        try:
            if question.wait and environ.get("HTTP_IF_NONE_MATCH"):
                environ["QUERY_STRING"] = question.query
                return self._waited(environ, question)(environ, start_response)
            answer = self._known(environ, question.asked) or self._soon_known(environ, question.asked)
        except Unavailable as error:  # also Busy
            return _problem(environ, error)(environ, start_response)
        if answer is None:
            return self._route(environ, start_response, asked=question.asked)
        return _given(environ, start_response, answer=answer)

    def _soon_known(self, environ: Environ, asked: Asked) -> Answer | None:
        """When somebody reads the same just now, as after a change that many wait for: known once that is kept."""
        read = self._under_way.get(asked)
        if read is None:
            return None
        read.wait()
        return self._known(environ, asked)

    def _route(self, environ: Environ, start_response: Any, *, asked: Asked) -> Iterable[bytes]:
        """The route's answer; those who ask the same meanwhile wait for it."""
        own = threading.Event()
        first = self._under_way.setdefault(asked, own) is own
        try:
            return self._app(environ, start_response)
        finally:
            if first:
                del self._under_way[asked]
                own.set()

    def _known(self, environ: Environ, asked: Asked) -> Answer | None:
        """The answer, if it is known to hold now and the caller is known to be one who may have it.

        Raises Unavailable.
        """
        if self._recorded:
            return None
        try:
            known = self._resolver.known(secret_hash(secret_of(environ.get("HTTP_AUTHORIZATION"))), asked)
        except NotAuthenticated:
            return None
        if known is None or not may_read(known[0].principal, asked.environment):
            return None
        return known[1]

    def _ask(self, environ: Environ, asked: Asked) -> tuple[bool, Wsgi]:
        """Whether the client has the answer already, and what gives it."""
        answer = self._known(environ, asked) or self._soon_known(environ, asked)
        if answer is not None:
            return _has(environ, answer), partial(_given, answer=answer)
        response = Response.from_app(partial(self._route, asked=asked), environ.copy(), buffered=True)
        return response.status_code == HTTPStatus.NOT_MODIFIED, response

    def _waited(self, environ: Environ, question: Question) -> Wsgi:
        """The first answer that is not 304, or the last one when the time is over. Raises Unavailable, Busy."""
        until = time.monotonic() + question.wait
        before = self._following.position
        has, answer = self._ask(environ, question.asked)
        if not has:
            return answer
        with self._following.watching(self._tags(environ, question.asked), lambda: gone(environ)) as watcher:
            if self._following.position != before:
                has, answer = self._ask(environ, question.asked)
            while has and not self._following.stopped and not gone(environ) and time.monotonic() < until:
                watcher.wait(until - time.monotonic())
                has, answer = self._ask(environ, question.asked)
        return answer

    def _tags(self, environ: Environ, asked: Asked) -> tuple[Tag, ...]:
        """Of what is asked for, and of the token that asks: also its end is something to be told."""
        token = self._following.get(secret_hash(secret_of(environ.get("HTTP_AUTHORIZATION"))))
        tags = place_tags(*asked[:2]) if isinstance(asked, Place) else holding_tags(asked)
        return tags if token is None else (*tags, token_tag(token.id))


def _problem(environ: Environ, error: Unavailable) -> Response:
    response = problem_response(problem_document(error))
    response.headers[HEADER] = sent_or_new(environ.get("HTTP_X_REQUEST_ID", ""))
    return response


def _question(environ: Environ) -> Question | None:
    """None for what a route is to look at first."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return None
    path: str = environ.get("PATH_INFO", "")
    if not path.startswith("/v1/environments/"):
        return None
    if not path.isascii():
        path = path.encode("latin-1").decode("utf-8", "replace")
    match = _PLACE.fullmatch(path)
    if match is None or (match[2] and not match[3]):
        return None
    query: str = environ.get("QUERY_STRING", "")
    wait, models = 0, []
    if query:
        try:
            given = parse_qs(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=200)
        except ValueError:
            return None
        waits = given.pop("wait", ["0"])
        models = given.pop("model", [])
        if (
            given
            or (models and match[2])
            or len(models) > MODELS
            or len(waits) != 1
            or not re.fullmatch("[0-9]{1,2}", waits[0])
        ):
            return None
        wait = int(waits[0])
        if wait > WAIT:
            return None
        query = "&".join(part for part in query.split("&") if not part.startswith("wait="))
    if match[2]:
        return Question(Place(match[1], match[2], match[3]), wait, query)
    return Question(holding(match[1], match[3] or "", models), wait, query)


def _has(environ: Environ, answer: Answer) -> bool:
    """Whether the client said that it has the answer."""
    known: str = environ.get("HTTP_IF_NONE_MATCH", "")
    tag = answer.headers["ETag"]
    return known == tag or (known != "" and parse_etags(known).contains_weak(tag.strip('"')))


def _given(environ: Environ, start_response: Any, *, answer: Answer) -> Iterable[bytes]:
    headers = [*answer.headers.items(), (HEADER, sent_or_new(environ.get("HTTP_X_REQUEST_ID", "")))]
    if _has(environ, answer):
        start_response("304 NOT MODIFIED", headers)
        return ()
    headers += [("Content-Type", "application/json"), ("Content-Length", str(len(answer.body)))]
    start_response("200 OK", headers)
    return () if environ["REQUEST_METHOD"] == "HEAD" else (answer.body,)


def gone(environ: Environ) -> bool:
    """Whether the client has closed its connection, as far as the system tells."""
    client: socket.socket | None = environ.get("gunicorn.socket")
    if client is None or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED
    except OSError:  # a Unix socket has none
        return False
