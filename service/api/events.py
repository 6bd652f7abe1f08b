"""The route of an environment's changes, as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flask import Response, g, request
from flask_openapi3 import APIBlueprint

from service.api import hand_out_payloads as hp
from service.api import payloads as p
from service.api.auth import identified_by, scoped, secret_of
from service.api.document import problems
from service.api.front import gone
from service.api.request_ids import request_id
from service.api.resolve import STAGES
from service.domain.errors import InvalidInput, NotAuthenticated, NotFound
from service.domain.identity import Principal, secret_hash
from service.usecases.hand_out_ports import Logged
from service.usecases.resolve import READING, Resolver
from service.usecases.watch_stages import watch_stages
from service.wiring import Parts

STREAM: dict[str, Any] = {
    "description": "`stage.changed` events, of which each `data` is a StageEventOut; a comment at least every 15 s",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
HEADERS = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}


def add_events(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/environments/<environment>/events", tags=[STAGES], responses={200: STREAM, **problems(503)})
    @identified_by(_identify(parts.resolver))
    @scoped(*READING, parameter="environment")
    def get_events(path: p.EnvironmentPath, query: hp.EventsQuery, header: hp.EventsHeaders) -> Response:
        """Every change of the environment's stages, from now on or from behind Last-Event-ID: none is left out."""
        if isinstance(g.found, NotFound | InvalidInput):
            raise g.found
        environ = request.environ
        after = int(header.last_event_id) if header.last_event_id else None
        secret = secret_hash(secret_of(request.headers.get("Authorization")))
        told = watch_stages(parts.resolver, secret, path.environment, after, query.seconds, lambda: gone(environ))
        first = next(told)  # what refuses it does so before the answer begins
        return Response(_stream(after, first, told), mimetype="text/event-stream", headers=HEADERS)


def _identify(resolver: Resolver) -> Any:
    def identify(secret: str, given: Mapping[str, str]) -> Principal:
        if not secret:
            raise NotAuthenticated("Send a token: `Authorization: Bearer <token>`.", header="Authorization")
        hash = secret_hash(secret)
        try:
            token, g.found = resolver.environment(hash, given["environment"])
        except InvalidInput as error:
            token, g.found = resolver.token(hash), error
        return replace(token.principal, request_id=request_id())

    return identify


def _stream(after: int | None, first: int | Logged, told: Iterator[int | Logged]) -> Iterator[bytes]:
    """The first one tells where it begins: elsewhere than asked for, a `reset` says that all is to be read anew."""
    reset = "event: reset\ndata: {}\n" if after is not None and first != after else ""
    yield f"retry: 1000\nid: {first}\n{reset}\n".encode()
    for item in told:
        yield _event(item) if isinstance(item, Logged) else f": {item}\n\n".encode()


def _event(row: Logged) -> bytes:
    place = {"environment": row.environment, "model": row.model, "stage": row.subject, "at": row.at}
    shown = hp.StageEventOut(**place, **(row.after or {}))
    return f"id: {row.number}\nevent: {row.action}\ndata: {shown.model_dump_json()}\n\n".encode()
