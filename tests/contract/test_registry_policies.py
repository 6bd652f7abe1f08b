"""Policies of every registry: versions, what holds, compare and swap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.domain.errors import NotFound, PreconditionFailed
from service.domain.policy import PolicyVersion, StagePolicies
from tests.contract.registries import Registry
from tests.contract.samples import at, environment, fill

SIGNED = StagePolicies.of({"default": {"signature": True}})
TWO = StagePolicies.of({"stages": {"Production": {"approvals": {"count": 2, "valid_for": "24h"}}}})


@pytest.fixture(autouse=True)
def _places(store: Registry) -> None:
    fill(store, "a")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))


def put(
    store: Registry,
    policies: StagePolicies | None,
    model: str = "",
    expected: int | None = None,
    environment: str = "prod",
) -> PolicyVersion:
    with store.transaction() as tx:
        return tx.policies.put(environment, model, policies, "admin", at(0), expected)


def own(store: Registry, model: str = "", environment: str = "prod") -> PolicyVersion:
    with store.transaction() as tx:
        return tx.policies.own(environment, model)


def current(store: Registry, model: str = "iris", environment: str = "prod") -> PolicyVersion:
    with store.transaction() as tx:
        return tx.policies.current(environment, model)


def numbers(store: Registry, model: str = "", limit: int = 50, before: int | None = None) -> list[tuple[int, bool]]:
    with store.transaction() as tx:
        return [(each.number, each.removed) for each in tx.policies.history("prod", model, limit, before)]


def test_nothing_was_ever_put(store: Registry) -> None:
    assert own(store) == current(store) == PolicyVersion("prod", "", 0, StagePolicies(), "", None)
    assert own(store, "iris") == PolicyVersion("prod", "iris", 0, StagePolicies(), "", None)
    assert numbers(store) == []


def test_each_change_is_a_version(store: Registry) -> None:
    first = put(store, SIGNED)
    assert first == own(store) == PolicyVersion("prod", "", 1, SIGNED, "admin", at(0))
    assert put(store, TWO).number == 2
    assert put(store, TWO).number == 3
    assert own(store).policies == TWO
    assert own(store).policies.document == TWO.document
    with store.transaction() as tx:
        assert tx.policies.history("prod", "", 50, None)[-1] == first
    assert own(store, environment="qa").number == 0


def test_a_models_own_holds_instead(store: Registry) -> None:
    put(store, SIGNED)
    assert current(store) == own(store)
    overridden = put(store, TWO, "iris")
    assert (overridden.number, overridden.model) == (1, "iris")
    assert current(store) == overridden
    assert own(store).policies == SIGNED
    put(store, StagePolicies(), "iris")  # nothing is asked of this one
    assert current(store).policies == StagePolicies()


def test_a_removed_one_stays_in_the_history(store: Registry) -> None:
    put(store, SIGNED)
    put(store, TWO, "iris")
    put(store, None, "iris")
    assert own(store, "iris").number == 0
    assert current(store) == own(store)
    assert put(store, TWO, "iris").number == 3
    assert numbers(store, "iris") == [(3, False), (2, True), (1, False)]
    assert numbers(store) == [(1, False)]


def test_history_goes_on_after_a_number(store: Registry) -> None:
    for _ in range(5):
        put(store, SIGNED)
    assert numbers(store, limit=2) == [(5, False), (4, False)]
    assert numbers(store, limit=2, before=4) == [(3, False), (2, False)]
    assert numbers(store, before=1) == []


def test_compare_and_swap(store: Registry) -> None:
    assert put(store, SIGNED, expected=0).number == 1
    assert put(store, TWO, expected=1).number == 2
    for stale in (0, 1, 3):
        with pytest.raises(PreconditionFailed) as caught:
            put(store, SIGNED, expected=stale)
        assert caught.value.where == {"current": 2}
    assert own(store).policies == TWO
    put(store, None, "iris")
    assert put(store, SIGNED, "iris", expected=0).number == 2


def test_of_many_at_once_one_wins(store: Registry) -> None:
    def swap(_: int) -> bool:
        try:
            put(store, SIGNED, expected=0)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(swap, range(16))) == 1
        assert sorted(threads.map(lambda _: put(store, TWO).number, range(16))) == list(range(2, 18))
    assert numbers(store) == [(number, False) for number in range(17, 0, -1)]


@pytest.mark.parametrize(
    ("environment", "model", "kind"),
    [("absent", "", "environment"), ("absent", "iris", "environment"), ("prod", "absent", "model")],
)
def test_what_is_absent_is_named(store: Registry, environment: str, model: str, kind: str) -> None:
    for ask in (
        lambda: put(store, SIGNED, model, environment=environment),
        lambda: own(store, model, environment),
        lambda: current(store, model, environment),
    ):
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.where["kind"] == kind
    with store.transaction() as tx, pytest.raises(NotFound):
        tx.policies.history(environment, model, 1, None)


def test_they_go_with_their_environment(store: Registry) -> None:
    put(store, SIGNED)
    put(store, TWO, "iris")
    put(store, TWO, environment="qa")
    with store.transaction() as tx:
        tx.environments.delete("prod")
        tx.environments.put(environment("prod"))
    assert own(store).number == own(store, "iris").number == 0
    assert own(store, environment="qa").number == 1
