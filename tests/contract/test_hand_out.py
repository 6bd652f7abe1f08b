"""What every hand-out reads, in one look: who asks, what is there, and where the audit trail ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from service.domain.audit import Change
from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.identity import OPERATOR
from service.stores.hand_out_rows import PostgresHandOut
from service.stores.memory import MemoryRegistry
from service.stores.memory_hand_out import MemoryHandOut
from service.usecases.hand_out_ports import HandOut, Holding
from service.usecases.ports import RegistryStore
from service.usecases.record_change import record
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, environment, fill, new_version, token

PLACE = Place("prod", "iris", "Production")


@pytest.fixture(autouse=True)
def _places(store: Registry) -> None:
    fill(store, "a", "b")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
        tx.models.add_version(new_version("Other"))


@pytest.fixture
def hand_out(store: Registry, request: pytest.FixtureRequest) -> Iterator[HandOut]:
    if isinstance(store, MemoryRegistry):
        yield MemoryHandOut(store)
        return
    engine: sa.Engine = request.getfixturevalue("suite_engine")
    hand_out = PostgresHandOut(engine)
    yield hand_out
    hand_out.close()


def changed(store: RegistryStore, action: str = "thing.changed", **where: str) -> int:
    """The number of the row."""
    with store.transaction() as tx:
        record(tx, Change(action, OPERATOR, **where), at(0))  # type: ignore[arg-type]
    with store.transaction() as tx:
        return tx.audit.head()[0]


def test_a_stage(store: Registry, hand_out: HandOut) -> None:
    known = token()
    with store.transaction() as tx:
        tx.tokens.add(known, b"hash")
        done = assign(tx, assignment(2, minutes=5))
    number = changed(store)
    read = hand_out.stage(b"hash", PLACE)
    with store.transaction() as tx:
        assert read.found == (done, tx.models.version("iris", 2))
    assert (read.position, read.token, read.over) == (number, known, hand_out.connections())
    assert hand_out.stage(b"other", PLACE).token is None
    with store.transaction() as tx:
        revoked = tx.tokens.revoke(known.id, at(1))
    assert hand_out.stage(b"hash", PLACE).token == revoked


def test_what_is_not_there(store: Registry, hand_out: HandOut) -> None:
    for place, kind in (
        (Place("absent", "iris", "Production"), "environment"),
        (Place("prod", "iris", "absent"), "stage"),
        (Place("prod", "absent", "Production"), "model"),
        (PLACE, "assignment"),
    ):
        found = hand_out.stage(b"", place).found
        with store.transaction() as tx, pytest.raises(NotFound) as raised:
            tx.stages.current(*place)
        assert isinstance(found, NotFound)
        assert (found.detail, found.where) == (raised.value.detail, raised.value.where)
        assert found.where["kind"] == kind
    for asked, kind in ((Holding("absent"), "environment"), (Holding("prod", "absent"), "stage")):
        found = hand_out.held(b"", asked).found  # type: ignore[assignment]
        assert isinstance(found, NotFound)
        assert found.where["kind"] == kind
    assert isinstance(hand_out.environment(b"", "absent").found, NotFound)
    assert hand_out.environment(b"", "prod").found == ("Staging", "Production")


def test_an_environment(store: Registry, hand_out: HandOut) -> None:
    with store.transaction() as tx:
        first = assign(tx, assignment(1))
        second = assign(tx, assignment(2, stage="Staging"))
        other = assign(tx, assignment(1, model="Other"))
        assign(tx, assignment(1, environment="qa"))
    for asked, held in (
        (Holding("prod"), [other, first, second]),  # by code points: upper case comes first
        (Holding("prod", "Production"), [other, first]),
        (Holding("prod", "", ("iris",)), [first, second]),
        (Holding("prod", "Staging", ("Other", "absent", "iris")), [second]),
        (Holding("prod", "Staging", ("Other",)), []),
    ):
        found = hand_out.held(b"", asked).found
        assert not isinstance(found, NotFound)
        assert (found.environment, found.stages) == ("prod", ("Staging", "Production"))
        assert list(found.assignments) == held


def test_changes(store: Registry, hand_out: HandOut) -> None:
    with store.transaction() as tx:
        before = tx.audit.head()[0]
        assign(tx, assignment(1))
    number = changed(store, "token.revoked", subject="some id")
    changed(store, "version.changed", model="iris")
    rows = hand_out.changes(before, 10)
    assert [row.action for row in rows] == ["stage.changed", "token.revoked", "version.changed"]
    assert [row.number for row in rows] == [before + 1, before + 2, before + 3]
    stage, revoked, version = rows
    assert (stage.environment, stage.model, stage.subject) == ("prod", "iris", "Production")
    assert stage.after is not None
    assert (stage.after["version"], stage.after["revision"]) == (1, 1)
    assert (revoked.number, revoked.subject, revoked.after) == (number, "some id", None)
    assert (version.environment, version.model) == ("", "iris")
    assert hand_out.changes(before, 1) == [stage]
    assert hand_out.changes(number + 1, 10) == []
    assert hand_out.stage_changes("prod", before, 10) == [stage]
    assert hand_out.stage_changes("qa", before, 10) == hand_out.stage_changes("prod", number, 10) == []


def test_listening(store: Registry, hand_out: HandOut) -> None:
    hand_out.listen(0.01)
    heard = threading.Event()

    def listen() -> None:
        hand_out.listen(20)
        heard.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert not heard.wait(0.1)
    changed(store)
    assert heard.wait(10)
    thread.join()
