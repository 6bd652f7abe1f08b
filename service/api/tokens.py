"""Routes of tokens."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import admin, principal
from service.api.document import problems
from service.domain.identity import Token
from service.usecases.manage_tokens import create_token, revoke_token
from service.wiring import Parts

TOKENS = Tag(name="tokens", description="Who may do what")


def add_tokens(api: APIBlueprint, parts: Parts) -> None:
    @api.post("/tokens", tags=[TOKENS], responses={201: p.NewTokenOut, **problems(409, 413, 415)})
    @admin()
    def create_token_(body: p.TokenIn) -> Response:
        """Create a token. The answer is the only place where its secret is ever shown."""
        token, secret = create_token(
            parts.store, parts.clock, principal(), body.name, body.scopes, body.expires_in_days
        )
        shown = p.NewTokenOut(**_plain(token), token=secret)
        return answer(shown, 201, {"Cache-Control": "no-store", "Location": f"/v1/tokens/{token.id}"})

    @api.get("/tokens", tags=[TOKENS], responses={200: p.TokensOut})
    @admin()
    def list_tokens() -> Response:
        """All tokens, without their secrets."""
        with parts.store.transaction() as tx:
            return answer(p.TokensOut(tokens=[p.TokenOut(**_plain(token)) for token in tx.tokens.list()]))

    @api.delete("/tokens/<token_id>", tags=[TOKENS], responses={200: p.TokenOut})
    @admin()
    def revoke_token_(path: p.TokenPath) -> Response:
        """Revoke a token; it stays in the list."""
        return answer(p.TokenOut(**_plain(revoke_token(parts.store, parts.clock, principal(), path.token_id))))


def _plain(token: Token) -> dict[str, object]:
    return {**vars(token), "scopes": [str(scope) for scope in token.scopes]}
