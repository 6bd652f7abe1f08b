"""Who asks, decided once for every route: a route without a decision is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from flask import Flask, g, request

from service.api.own_pages import sent_by_another_site
from service.api.request_ids import request_id
from service.domain.errors import NotAllowed, NotAuthenticated, RegistryError
from service.domain.identity import ADMIN, Principal, Scope
from service.usecases.manage_tokens import authenticate
from service.wiring import Parts

F = TypeVar("F", bound=Callable[..., Any])
Access = Callable[[Principal, Mapping[str, str]], None]
"""Raises NotAllowed unless the principal may use the route with these path parameters."""

Identify = Callable[[str, Mapping[str, str]], Principal]
"""Tells who holds the secret of the request with these path parameters. Raises NotAuthenticated."""

ATTRIBUTE = "__access__"
IDENTIFY = "__identify__"


def access(rule: Access | None) -> Callable[[F], F]:
    """Mark a view with its decision; None opens it to everyone."""

    def mark(view: F) -> F:
        setattr(view, ATTRIBUTE, rule)
        return view

    return mark


def anyone() -> Callable[[F], F]:
    """Open without a token."""
    return access(None)


def opened(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view of a library, which cannot be marked itself, open without a token."""

    @anyone()
    def call(**arguments: Any) -> Any:
        return view(**arguments)

    return call


def authenticated() -> Callable[[F], F]:
    """Any valid token; the view decides what it shows."""
    return access(lambda principal, _: None)


def admin() -> Callable[[F], F]:
    return access(lambda principal, _: principal.require(ADMIN))


def scoped(*actions: str, parameter: str) -> Callable[[F], F]:
    """One of the scopes `<action>:<value of the path parameter>`."""

    def rule(principal: Principal, arguments: Mapping[str, str]) -> None:
        principal.require(*(Scope(action, arguments[parameter]) for action in actions))

    return access(rule)


def identified_by(identify: Identify) -> Callable[[F], F]:
    """Who asks is told by `identify`, for a view that reads it together with what is asked for."""

    def mark(view: F) -> F:
        setattr(view, IDENTIFY, identify)
        return view

    return mark


def principal() -> Principal:
    """Whoever the current request authenticated as."""
    return cast(Principal, g.principal)


def secret_of(authorization: str | None) -> str:
    """The token in an Authorization header: Bearer, or Basic with the token as its password; '' without one."""
    kind, _, value = (authorization or "").partition(" ")
    match kind.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                decoded = base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise NotAuthenticated("The Basic credentials are not Base64.", header="Authorization") from None
            return decoded.partition(":")[2]
        case _:
            return ""


def identify(parts: Parts) -> Principal:
    """Whoever sends the current request. Raises NotAuthenticated."""
    secret = secret_of(request.headers.get("Authorization"))
    return authenticate(parts.store, parts.clock(), secret, request_id())


def install(app: Flask, parts: Parts, origin: str) -> None:
    """Authenticate and decide before each view of `app`, whose own pages are those of `origin`."""

    @app.before_request
    def decide() -> None:
        if request.routing_exception is not None or request.endpoint is None:
            return  # nothing is there: the error handlers answer
        view = app.view_functions[request.endpoint]
        if not hasattr(view, ATTRIBUTE):
            raise RegistryError("This route has no access rule.")
        rule: Access | None = getattr(view, ATTRIBUTE)
        if rule is None:
            return
        if sent_by_another_site(origin):
            raise NotAllowed("Another site's page sent this; send it from a program, with a token.", header="Origin")
        given = request.view_args or {}
        by: Identify | None = getattr(view, IDENTIFY, None)
        g.principal = identify(parts) if by is None else by(secret_of(request.headers.get("Authorization")), given)
        rule(g.principal, given)
