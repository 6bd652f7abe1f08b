"""Tell of every change of an environment's stages, as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from service.domain.errors import NotAuthenticated, Unavailable
from service.usecases.follow_changes import token_tag
from service.usecases.hand_out_ports import Logged
from service.usecases.resolve import Resolver

HEARTBEAT = 15.0


def watch_stages(
    resolver: Resolver, secret: bytes, environment: str, after: int | None, seconds: float, gone: Callable[[], bool]
) -> Iterator[int | Logged]:
    """First the number from which on changes are told, then each change, and that number again when long nothing came.

    It is `after`, or without it (or when the trail does not go that far) that of the last change of all. Ends when the
    time is over, when the process stops, the database does not answer, the client is gone, or the token is no good any
    more. Raises NotAuthenticated, Unavailable, Busy before the first.
    """
    following = resolver.following
    until = time.monotonic() + seconds
    token = resolver.token(secret)
    tags = [(environment, "*"), (environment, ""), token_tag(token.id)]
    with following.watching(tags, gone) as watcher:
        following.catch_up()
        head = following.position or 0
        number = head if after is None or after > head else after
        yield number
        with suppress(NotAuthenticated, Unavailable):
            while not following.stopped and not gone() and time.monotonic() < until:
                resolver.token(secret)
                rows = following.stage_changes(environment, number)
                for row in rows:
                    number = row.number
                    yield row
                if not rows and not watcher.wait(min(HEARTBEAT, until - time.monotonic())):
                    yield number
