"""The audit trail of every registry: rows that are added at the end, chained, and there when their transaction is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.domain.audit import GENESIS, AuditQuery, AuditRow, Change
from service.domain.identity import Principal
from service.usecases.record_change import record
from tests.contract.registries import Registry
from tests.contract.samples import at

CI = Principal("7c0f3e1e-0000-4000-8000-000000000001", "ci", (), "req-1")
ANY = AuditQuery()


def change(action: str = "stage.changed", actor: Principal = CI, **told: Any) -> Change:
    return Change(action, actor, **told)


def add(store: Registry, *changes: Change, minutes: int = 0) -> None:
    with store.transaction() as tx:
        for each in changes:
            record(tx, each, at(minutes))


def rows(store: Registry, wanted: AuditQuery = ANY) -> list[AuditRow]:
    with store.transaction() as tx:
        return list(tx.audit.chain(wanted, 1000))


def test_empty(store: Registry) -> None:
    with store.transaction() as tx:
        assert tx.audit.head() == (0, GENESIS)
        assert not tx.audit.chain(ANY, 10)
        assert not tx.audit.latest(ANY, 10)


def test_a_row_is_what_was_recorded(store: Registry) -> None:
    told = {"before": {"version": 1}, "after": {"version": 2, "score": 0.5, "tags": ["ä", None, True]}}
    add(store, change(workspace="dev", environment="prod", model="iris", subject="Production", **told), minutes=3)
    (row,) = rows(store)
    assert row == AuditRow(
        seq=1,
        at=at(3),
        action="stage.changed",
        actor_id=CI.token_id,
        actor="ci",
        workspace="dev",
        environment="prod",
        model="iris",
        subject="Production",
        before={"version": 1},
        after={"version": 2, "score": 0.5, "tags": ["ä", None, True]},
        request_id="req-1",
        previous=GENESIS,
        hash=row.computed_hash(),
    )


def test_each_row_names_the_hash_before(store: Registry) -> None:
    add(store, change(), change())
    add(store, change())
    found = rows(store)
    assert [row.seq for row in found] == [1, 2, 3]
    assert [row.previous for row in found] == [GENESIS, found[0].hash, found[1].hash]
    assert all(row.hash == row.computed_hash() for row in found)
    with store.transaction() as tx:
        assert tx.audit.head() == (3, found[2].hash)


@pytest.mark.parametrize(
    "value", [1e16, 1.0, -0.0, 1e-7, 2**63, 10**40, 0.1 + 0.2, float("nan"), "\ud800a\0b", "é\u2028"]
)
def test_what_is_read_has_the_hash_of_what_was_written(store: Registry, value: object) -> None:
    add(store, change(after={"value": value}))
    (row,) = rows(store)
    assert row.hash == row.computed_hash()


def test_text_that_cannot_be_stored_does_not_keep_a_change_from_being_recorded(store: Registry) -> None:
    add(store, change(subject="a\0b", actor=replace(CI, name="c\ud800i")))
    (row,) = rows(store)
    assert (row.subject, row.actor) == ("ab", "ci")


def test_an_undone_transaction_leaves_no_row(store: Registry) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            record(tx, change(), at(1))
            raise ZeroDivisionError

    add(store, change())
    with pytest.raises(ZeroDivisionError):
        fail()
    add(store, change())
    assert [row.seq for row in rows(store)] == [1, 2]


def test_pages(store: Registry) -> None:
    add(store, *(change(f"thing.changed{number}") for number in range(1, 6)))
    with store.transaction() as tx:
        assert [row.seq for row in tx.audit.latest(ANY, 2)] == [5, 4]
        assert [row.seq for row in tx.audit.latest(ANY, 2, before=4)] == [3, 2]
        assert [row.seq for row in tx.audit.latest(ANY, 2, before=2)] == [1]
        assert [row.seq for row in tx.audit.chain(ANY, 2)] == [1, 2]
        assert [row.seq for row in tx.audit.chain(ANY, 9, after=3)] == [4, 5]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AuditQuery(), [1, 2, 3, 4]),
        (AuditQuery(actor="ci"), [1, 3, 4]),
        (AuditQuery(actor=CI.token_id), [1, 3, 4]),
        (AuditQuery(actor="nobody"), []),
        (AuditQuery(action="stage."), [1, 4]),
        (AuditQuery(action="stage_"), []),
        (AuditQuery(action="%"), []),
        (AuditQuery(workspace="dev"), [3]),
        (AuditQuery(environment="prod"), [1, 4]),
        (AuditQuery(environment="prod", model="iris"), [1]),
        (AuditQuery(since=at(1)), [2, 3, 4]),
        (AuditQuery(until=at(1)), [1]),
        (AuditQuery(since=at(1), until=at(2)), [2]),
        (AuditQuery(since=at(2) + timedelta(microseconds=1)), [4]),
    ],
)
def test_filters(store: Registry, wanted: AuditQuery, expected: list[int]) -> None:
    add(store, change(environment="prod", model="iris"), minutes=0)
    add(store, change("token.created", Principal("", "operator", ())), minutes=1)
    add(store, change("import.done", workspace="dev"), minutes=2)
    add(store, change(environment="prod", model="other"), minutes=3)
    assert [row.seq for row in rows(store, wanted)] == expected
    with store.transaction() as tx:
        assert [row.seq for row in tx.audit.latest(wanted, 9)] == expected[::-1]


def test_many_at_once_make_one_chain(store: Registry) -> None:
    def work(number: int) -> None:
        for step in range(5):
            add(store, *(change(subject=f"{number}-{step}-{part}") for part in range(2)))

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, number) for number in range(8)]:
            done.result()
    found = rows(store)
    assert [row.seq for row in found] == list(range(1, 81))
    assert [row.previous for row in found] == [GENESIS, *(row.hash for row in found[:-1])]
    assert all(row.hash == row.computed_hash() for row in found)
    assert len({row.subject for row in found}) == 80
    for first, second in zip(found[::2], found[1::2], strict=True):  # a transaction's rows stay together
        assert first.subject[:-1] == second.subject[:-1]
