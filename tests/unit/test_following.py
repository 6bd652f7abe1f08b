"""What a process keeps: never longer than it holds, never more than it may."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from service.domain.audit import Change
from service.domain.errors import Busy, InvalidInput, Unavailable
from service.domain.identity import OPERATOR
from service.stores.memory_hand_out import MemoryHandOut
from service.stores.memory_registry import MemoryRegistry
from service.usecases.follow_changes import ENTRY, Following, holding_tags, place_tags, token_tag
from service.usecases.hand_out_ports import Holding, Logged, Read
from service.usecases.record_change import record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = {
    "orders in prod": place_tags("prod", "orders"),
    "fraud in prod": place_tags("prod", "fraud"),
    "orders in qa": place_tags("qa", "orders"),
    "all of prod": holding_tags(Holding("prod")),
    "fraud of prod": holding_tags(Holding("prod", "", ("fraud",))),
    "a token": (token_tag("one"),),
}


class Store(MemoryHandOut):
    """Counts what is read, may be another database, or out of order."""

    def __init__(self, registry: MemoryRegistry) -> None:
        super().__init__(registry)
        self.looks = 0
        self.number = 1
        self.broken = False

    def connections(self) -> int:
        return self.number

    def changes(self, after: int, limit: int) -> Sequence[Logged]:
        self.looks += 1
        if self.broken:
            raise Unavailable("It is broken.")
        return super().changes(after, min(limit, 1000))


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def store(registry: MemoryRegistry) -> Store:
    return Store(registry)


def commit(registry: MemoryRegistry, action: str, **where: str) -> None:
    with registry.transaction() as tx:
        record(tx, Change(action, OPERATOR, **where), NOW)  # type: ignore[arg-type]


def filled(store: Store) -> Following:
    following = Following(store)
    for key, tags in KEPT.items():
        following.keep(key, key, 0, tags, store.environment(b"", ""))
    return following


@pytest.mark.parametrize(
    ("action", "where", "dropped"),
    [
        ("stage.changed", ("prod", "orders", "x"), {"orders in prod", "all of prod"}),
        ("stage.changed", ("prod", "new", "x"), {"all of prod"}),
        ("stage.changed", ("prod", "fraud", "x"), {"fraud in prod", "all of prod", "fraud of prod"}),
        ("version.changed", ("", "orders", "1"), {"orders in prod", "orders in qa"}),
        ("environment.changed", ("prod", "", ""), KEPT.keys() - {"orders in qa", "a token"}),
        ("token.revoked", ("", "", "one"), {"a token"}),
        ("token.revoked", ("", "", "other"), set()),
        ("stage.read", ("prod", "orders", "x"), set()),
        ("files.handed_out", ("prod", "orders", "x"), set()),
        ("import.done", ("", "", "id"), set()),
    ],
)
def test_what_a_change_drops(
    action: str, where: tuple[str, str, str], dropped: set[str], registry: MemoryRegistry, store: Store
) -> None:
    following = filled(store)
    environment, model, subject = where
    commit(registry, action, environment=environment, model=model, subject=subject)
    assert all(following.get(key) for key in KEPT), "nobody has looked yet"
    following.catch_up()
    assert {key for key in KEPT if following.get(key) is None} == dropped


def test_what_was_read_before_a_change_is_not_kept_after_it(registry: MemoryRegistry, store: Store) -> None:
    following = Following(store)
    following.catch_up()
    old = store.environment(b"", "")
    commit(registry, "stage.changed", environment="prod", model="orders")
    following.catch_up()
    following.keep("place", 1, 0, place_tags("prod", "orders"), old)
    assert following.get("place") is None
    following.keep("place", 2, 0, place_tags("prod", "orders"), store.environment(b"", ""))
    assert following.get("place") == 2


def test_what_was_read_ahead_is_dropped_rather_than_wrong(registry: MemoryRegistry, store: Store) -> None:
    following = Following(store)
    following.catch_up()
    commit(registry, "stage.changed", environment="prod", model="orders")
    following.keep("place", 1, 0, place_tags("prod", "orders"), store.environment(b"", ""))
    assert following.get("place") == 1
    following.catch_up()
    assert following.get("place") is None


def test_another_connection_forgets(store: Store) -> None:
    following = filled(store)
    old = store.environment(b"", "")
    store.number = 2
    following.catch_up()
    assert not [key for key in KEPT if following.get(key)]
    following.keep("place", 1, 0, (), old)
    assert following.get("place") is None, "read over the connection before"


def test_another_connection_wakes_all(store: Store) -> None:
    """What is committed between the last look over the old one and the first over the new one is in neither's rows."""
    following = filled(store)
    with following.watching([("prod", "*")], lambda: False) as watcher:
        store.number = 2
        following.catch_up()
        assert watcher.wait(5)
    following.stop()


def test_many_changes_at_once(registry: MemoryRegistry, store: Store) -> None:
    following = filled(store)
    with registry.transaction() as tx:
        for number in range(2500):
            record(tx, Change("stage.changed", OPERATOR, environment="prod", model=f"m{number}", after={}), NOW)
        record(tx, Change("stage.changed", OPERATOR, environment="qa", model="orders"), NOW)
    following.catch_up()
    assert store.looks == 3
    assert following.get("orders in qa") is None
    assert following.get("orders in prod") is not None
    assert len(following.stage_changes("prod", 2000)) == 500
    assert len(following.stage_changes("prod", 10)) == 1000, "older than what is remembered: read, a page at a time"


def test_what_is_kept_is_bounded(store: Store) -> None:
    following = Following(store, room=10 * (ENTRY + 100))
    read = Read(1, 0, None, None)
    for number in range(30):
        following.keep(number, number, 100, (), read)
    assert [number for number in range(30) if following.get(number) is not None] == list(range(20, 30))
    following.keep("large", 1, 9 * ENTRY, (), read)
    assert following.get("large") is None, "one alone may not push all others out"


def test_tags_are_counted(store: Store) -> None:
    """Names that nobody has are asked for freely, a hundred at a time."""
    room = 1024 * 1024
    following = Following(store, room=room)
    read = Read(1, 0, None, None)
    tracemalloc.start()
    try:
        for number in range(500):
            asked = Holding("prod", "", tuple(f"invented {number} {name}" for name in range(100)))
            following.keep(asked, "", 0, holding_tags(asked), read)
        assert tracemalloc.get_traced_memory()[0] < 2 * room
    finally:
        tracemalloc.stop()
    assert following.get(asked) is not None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [InvalidInput("Nobody expects this."), ZeroDivisionError()])
def test_a_follower_that_fell_is_raised(
    store: Store, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    following = Following(store)
    fallen = threading.Event()

    def fall(seconds: float) -> None:
        fallen.set()
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(store, "listen", fall)
        with following.watching(place_tags("prod", "orders"), lambda: False):
            assert fallen.wait(5)
            time.sleep(0.1)  # until its thread has ended, if it does
    with following.watching(place_tags("prod", "orders"), lambda: False) as watcher:
        following.catch_up()
        commit(registry, "stage.changed", environment="prod", model="orders")
        assert watcher.wait(5)
    following.stop()


def test_those_who_come_at_once_share_a_look(store: Store) -> None:
    following = filled(store)
    ready = threading.Barrier(20)

    def ask() -> None:
        ready.wait()
        for _ in range(50):
            following.catch_up()

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 50 <= store.looks < 700


def test_a_look_that_fails_is_told_to_all_who_share_it(store: Store) -> None:
    following = filled(store)
    store.broken = True
    failed = []

    def ask() -> None:
        with pytest.raises(Unavailable):
            following.catch_up()
        failed.append(1)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(failed) == 10
    store.broken = False
    following.catch_up()


def test_watchers(registry: MemoryRegistry, store: Store) -> None:
    following = Following(store, watchers=2)
    following.catch_up()
    here = [False]
    try:
        with following.watching([("prod", "*")], lambda: False) as watcher:
            with following.watching([("qa", "*")], lambda: here[0]) as other:
                with pytest.raises(Busy), following.watching([], lambda: False):
                    pass
                commit(registry, "stage.changed", environment="prod", model="orders")
                assert watcher.wait(10)
                assert not watcher.wait(0.05), "woken once"
                assert not other.wait(0.05), "it is no change of qa"
                here[0] = True
                assert other.wait(10), "who is gone is sent away"
            with following.watching([], lambda: False) as last:
                began = time.monotonic()
                following.stop()
                assert last.wait(10)
                assert watcher.wait(10)
                assert time.monotonic() - began < 1
    finally:
        following.stop()
    assert following.watchers == 0
