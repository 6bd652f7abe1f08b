"""Begin and end a browser's session, which stands for a token."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from service.domain.audit import Change
from service.domain.errors import NotAuthenticated, NotFound
from service.domain.identity import Principal
from service.usecases.manage_tokens import authenticate
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record


def sign_in(store: RegistryStore, clock: Clock, secret: str, request_id: str) -> Principal:
    """Whose session begins. Raises NotAuthenticated, in the same words for every secret that is not good."""
    principal = authenticate(store, clock(), secret, request_id)
    _record(store, clock, "session.begun", principal)
    return principal


def resume(store: RegistryStore, now: datetime, token_id: str, request_id: str) -> Principal:
    """Whose session goes on, with what the token may do now. Raises NotAuthenticated once it was revoked or expired."""
    ended = NotAuthenticated("The session has ended; sign in again.", cookie="session")
    try:
        with store.transaction() as tx:
            token = tx.tokens.get(token_id)
    except NotFound:
        raise ended from None
    if not token.usable(now):
        raise ended
    return replace(token.principal, request_id=request_id)


def sign_out(store: RegistryStore, clock: Clock, principal: Principal) -> None:
    _record(store, clock, "session.ended", principal)


def _record(store: RegistryStore, clock: Clock, action: str, principal: Principal) -> None:
    with store.transaction() as tx:
        record(tx, Change(action, principal, subject=principal.token_id), clock())
