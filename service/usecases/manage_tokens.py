"""Create and revoke tokens; tell who a secret belongs to."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from service.domain.audit import Change, time_text
from service.domain.errors import InvalidInput, NotAuthenticated
from service.domain.identity import TOKEN_PREFIX, Principal, Scope, Token, secret_hash
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record

MAX_DAYS = 3650


def create_token(
    store: RegistryStore, clock: Clock, by: Principal, name: str, scopes: Sequence[str], days: int | None
) -> tuple[Token, str]:
    """Answers with the token and its secret, 256 random bits that nobody can read again; `days` None: no expiry."""
    if not name.strip() or len(name) > 200:
        raise InvalidInput("A token needs a name of 1 to 200 characters.", field="name")
    if not scopes:
        raise InvalidInput("A token needs at least one scope.", field="scopes")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"expires_in_days must be from 1 to {MAX_DAYS}.", field="expires_in_days")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    now = clock()
    token = Token(
        id=str(uuid.uuid4()),
        name=name,
        scopes=tuple(Scope.parse(scope) for scope in scopes),
        created_by=by.name,
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
        revoked_at=None,
    )
    with store.transaction() as tx:
        tx.tokens.add(token, secret_hash(secret))
        record(tx, Change("token.created", by, subject=token.id, after=_told(token)), now)
    return token, secret


def revoke_token(store: RegistryStore, clock: Clock, by: Principal, token_id: str) -> Token:
    """Raises NotFound(kind="token"); revoking twice keeps the first time."""
    now = clock()
    with store.transaction() as tx:
        token = tx.tokens.revoke(token_id, now)
        if token.revoked_at == now:
            record(tx, Change("token.revoked", by, subject=token.id, before=_told(token)), now)
    return token


def _told(token: Token) -> dict[str, Any]:
    expires = None if token.expires_at is None else time_text(token.expires_at)
    return {"name": token.name, "scopes": [str(scope) for scope in token.scopes], "expires_at": expires}


def authenticate(store: RegistryStore, now: datetime, secret: str, request_id: str = "") -> Principal:
    """Who sent the request of that id. Raises NotAuthenticated for a secret that is unknown, expired or revoked."""
    if not secret:
        raise NotAuthenticated("Send a token: `Authorization: Bearer <token>`.", header="Authorization")
    with store.transaction() as tx:
        token = tx.tokens.find(secret_hash(secret))
    return replace(accepted(token, now).principal, request_id=request_id)


def accepted(token: Token | None, now: datetime) -> Token:
    """Raises NotAuthenticated for one that is unknown, expired or revoked."""
    if token is None or not token.usable(now):
        raise NotAuthenticated("The token is unknown, expired or revoked.", header="Authorization")
    return token
