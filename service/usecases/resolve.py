"""Tell what stages hold: from what is kept if nothing changed, otherwise by one SELECT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.identity import Principal, Scope, Token
from service.usecases.follow_changes import Following, holding_tags, place_tags, token_tag
from service.usecases.hand_out_ports import HandOut, Holding, Read
from service.usecases.manage_tokens import accepted
from service.usecases.ports import Clock
from service.usecases.stage_ports import Answer

READING = ("read", "promote")
"""Who holds one of these scopes of an environment may ask what its stages hold."""
Asked = Place | Holding
Present = Callable[[Any], Answer]


def may_read(principal: Principal, environment: str) -> bool:
    return any(principal.may(Scope(action, environment)) for action in READING)


class Resolver:
    def __init__(self, store: HandOut, following: Following, clock: Clock) -> None:
        self._store = store
        self.following = following
        self._clock = clock

    def known(self, secret: bytes, asked: Asked) -> tuple[Token, Answer] | None:
        """The token of that hash and the answer, None unless both are kept and hold now. Raises Unavailable."""
        if self._kept(secret, asked) is None:
            return None
        self.following.catch_up()
        return self._kept(secret, asked)

    def _kept(self, secret: bytes, asked: Asked) -> tuple[Token, Answer] | None:
        token, answer = self.following.get(secret), self.following.get(asked)
        if token is None or answer is None or not token.usable(self._clock()):
            return None
        return token, answer

    def read(self, secret: bytes, asked: Asked, present: Present) -> tuple[Token, Answer | NotFound]:
        """As `known`, or read now and made an answer of by `present`. Raises NotAuthenticated, Unavailable.

        NotFound is for the caller to raise, once it knows that the token may hear it.
        """
        known = self.known(secret, asked)
        if known is not None:
            return known
        read: Read[Any] = (
            self._store.stage(secret, asked) if isinstance(asked, Place) else self._store.held(secret, asked)
        )
        token = self._accepted(secret, read)
        if isinstance(read.found, NotFound):
            return token, read.found
        answer = present(read.found)
        tags = place_tags(*asked[:2]) if isinstance(asked, Place) else holding_tags(asked)
        self.following.keep(asked, answer, len(answer.body), tags, read)
        return token, answer

    def token(self, secret: bytes) -> Token:
        """The token of that hash as of now. Raises NotAuthenticated, Unavailable."""
        if self.following.get(secret) is not None:
            self.following.catch_up()
        kept: Token | None = self.following.get(secret)
        if kept is not None:
            return accepted(kept, self._clock())
        return self._accepted(secret, self._store.environment(secret, ""))

    def environment(self, secret: bytes, name: str) -> tuple[Token, tuple[str, ...] | NotFound]:
        """The token of that hash, and the environment's stages. Raises NotAuthenticated, Unavailable."""
        read = self._store.environment(secret, name)
        return self._accepted(secret, read), read.found

    def _accepted(self, secret: bytes, read: Read[Any]) -> Token:
        token = accepted(read.token, self._clock())
        self.following.keep(secret, token, 0, (token_tag(token.id),), read)
        return token
