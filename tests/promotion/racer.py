"""A client that promotes for as long as it lives, and says each time that it has won."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

from service.domain.environment import Place
from service.domain.errors import Stale, Unavailable
from service.domain.history import Precondition
from service.domain.identity import Principal
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.ports import RegistryStore
from service.usecases.promote import Request, promote
from tests.promotion.checker import Won

PLACE = Place("prod", "iris", "Production")
VERSIONS = 18


def race(store: RegistryStore, name: str, expected: int, version: int) -> Won | None:
    """What the winner is told; None for who comes too late."""
    request = Request(PLACE, version=version, precondition=Precondition(expected))
    try:
        with store.transaction() as tx:
            done = promote(tx, lambda: datetime.now(UTC), Principal("", name, ()), request)
    except Stale:
        return None
    return Won(done.revision or 0, done.version, done.id)


def main(url: str, name: str) -> None:
    store = PostgresRegistry(make_engine(url, pool=2), JobQueue())
    while True:
        try:
            with store.transaction() as tx:
                last = tx.stages.last(PLACE)
            revision, version = (last.revision, last.version or 0) if last else (0, 0)
            won = race(store, name, revision, version % VERSIONS + 1)
        except Unavailable:
            time.sleep(0.05)
            continue
        if won:
            print(json.dumps(won), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
