"""Who may use a route of the hosted registry: the one place where a scope meets the table."""

from __future__ import annotations

from collections.abc import Collection

from service.domain.errors import InvalidInput, NotAllowed, NotFound
from service.domain.identity import ADMIN, BROWSE, TRACK, Principal, Scope
from service.hosting.table import Permission, Route, hosted, refused
from service.usecases.view_versions import NO_ENVIRONMENT


def admit(principal: Principal, method: str, path: str, environment: str) -> Route:
    """The route of a request that may be answered: see `decide`. Raises NotFound("endpoint") for what is not hosted."""
    route = hosted(method, path)
    if route is None:
        why = refused(method, path)
        raise NotFound("endpoint", path, f"This registry does not host that part of MLflow{why and ': '}{why}.")
    decide(principal, route, environment)
    return route


def decide(principal: Principal, route: Route, environment: str) -> None:
    """Raises NotAllowed, naming the scopes of which one is needed.

    Args:
        environment: the one that is addressed; '' where none is, and then nothing can be promoted.
    """
    match route.permission:
        case Permission.STAGES:
            principal.require(*_of(environment), BROWSE)
        case Permission.PROMOTE if environment:
            principal.require(Scope("promote", environment))
        case Permission.PROMOTE:
            raise InvalidInput(NO_ENVIRONMENT, field="stage")
        case Permission.BROWSE:
            principal.require(BROWSE)
        case Permission.TRACK:
            principal.require(TRACK)
        case Permission.ADMIN:
            principal.require(ADMIN)


def sees_everything(principal: Principal) -> bool:
    """Whether the principal reads all of the hosted registry, not just what is in an environment's stages."""
    return principal.may(BROWSE)


def decide_artifact(
    principal: Principal, path: str, digest: str, writes: bool, environment: str, in_stages: Collection[str]
) -> None:
    """The decision about a path of the artifact proxy.

    Args:
        digest: of the registered version whose file it is; '' for files of runs, which only BROWSE reads.
        in_stages: the digests of the versions in the stages of `environment`.

    Raises:
        NotAllowed: naming the scopes of which one is needed.
        NotFound: for a version that is in no stage of an environment that the principal may read.
    """
    if writes:
        principal.require(TRACK)
    elif not principal.may(BROWSE):
        principal.require(*_of(environment), BROWSE)
        if not digest:
            raise NotAllowed(f"The token {principal.name!r} does not hold the scope {BROWSE}.", needed=str(BROWSE))
        if digest not in in_stages:
            raise NotFound("artifact", path)


def _of(environment: str) -> tuple[Scope, ...]:
    return (Scope("read", environment), Scope("promote", environment)) if environment else ()
