"""Begin and end a browser's session, which stands for a token."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service.domain.audit import Change
from service.domain.errors import NotAuthenticated, NotFound
from service.domain.identity import Principal, Session
from service.usecases.manage_tokens import authenticate
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record


def sign_in(store: RegistryStore, clock: Clock, secret: str, request_id: str) -> Principal:
    """Whose session begins. Raises NotAuthenticated, in the same words for every secret that is not good."""
    principal = authenticate(store, clock(), secret, request_id)
    with store.transaction() as tx:
        record(tx, Change("session.begun", principal, subject=principal.token_id), clock())
    return principal


def resume(store: RegistryStore, now: datetime, session: Session, request_id: str) -> Principal:
    """Whose session goes on, with what the token may do now.

    Raises NotAuthenticated once the token was revoked or expired, or the session was ended.
    """
    ended = NotAuthenticated("The session has ended; sign in again.", cookie="session")
    try:
        with store.transaction() as tx:
            token = tx.tokens.get(session.token_id)
            over = tx.ended_sessions.has(session.id)
    except NotFound:
        raise ended from None
    if over or not token.usable(now):
        raise ended
    return replace(token.principal, request_id=request_id)


def sign_out(store: RegistryStore, clock: Clock, principal: Principal, session: Session, lasts: timedelta) -> None:
    """Wherever its cookie was copied to; `lasts` is for how long a session goes on."""
    now = clock()
    with store.transaction() as tx:
        tx.ended_sessions.add(session.id, now, now + lasts)
        record(tx, Change("session.ended", principal, subject=principal.token_id), now)
