"""Sessions that were ended, in every registry."""

from __future__ import annotations

from tests.contract.registries import Registry
from tests.contract.samples import at


def test_what_was_ended_stays_so_as_long_as_it_would_have_lasted(store: Registry) -> None:
    with store.transaction() as tx:
        assert not tx.ended_sessions.has("a")
        tx.ended_sessions.add("a", at(0), at(10))
        tx.ended_sessions.add("a", at(1), at(11))
    with store.transaction() as tx:
        tx.ended_sessions.add("b", at(10), at(20))
        assert (tx.ended_sessions.has("a"), tx.ended_sessions.has("b")) == (True, True)
        tx.ended_sessions.add("c", at(11), at(20))
        assert (tx.ended_sessions.has("a"), tx.ended_sessions.has("b")) == (False, True)
