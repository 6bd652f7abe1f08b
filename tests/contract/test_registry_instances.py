"""Instances of every registry: what they say they run, and for how long that counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.domain.environment import Place
from service.domain.errors import Conflict, NotFound
from service.domain.instance import Instance
from service.usecases.instance_ports import InstanceCount
from tests.contract.registries import Registry
from tests.contract.samples import at, environment, fill, manifest

PRODUCTION = Place("prod", "iris", "Production")
STAGING = Place("prod", "iris", "Staging")
A, B, OTHER = (manifest(content).digest for content in ("a", "b", "other"))


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    """Version 3 has the bytes of version 1."""
    fill(store, "a", "b", "a")


def says(name: str = "pod-1", digest: str = A, minutes: int = 0, lease: int = 5, place: Place = PRODUCTION) -> Instance:
    return Instance(place, name, digest, at(minutes), at(minutes), at(minutes + lease), "ci")


def report(store: Registry, *instances: Instance, most: int = 100) -> list[Instance]:
    with store.transaction() as tx:
        return [tx.instances.report(instance, most) for instance in instances]


def listed(store: Registry, limit: int = 100, after: str = "", place: Place = PRODUCTION) -> list[Instance]:
    with store.transaction() as tx:
        return list(tx.instances.list(place, limit, after))


def test_what_it_says_is_kept(store: Registry) -> None:
    (kept,) = report(store, says())
    assert kept == replace(says(), version=3)
    assert listed(store) == [kept]
    assert listed(store, place=STAGING) == []


def test_since_when_it_runs_the_same_bytes(store: Registry) -> None:
    report(store, says())
    (again,) = report(store, replace(says(minutes=4), reported_by="other"))
    assert again == replace(says(minutes=4), since=at(0), reported_by="other", version=3)
    (late,) = report(store, says(minutes=60))  # its lease was over
    assert late.since == at(0)
    (other,) = report(store, says(digest=OTHER, minutes=61))
    assert (other.since, other.version) == (at(61), None)
    assert listed(store) == [other]


def test_pages(store: Registry) -> None:
    report(store, *(says(name) for name in ("b", "Z", "a", "a-1", "ab")), says("x", place=STAGING))
    assert [each.id for each in listed(store)] == ["Z", "a", "a-1", "ab", "b"]
    assert [each.id for each in listed(store, limit=2, after="a")] == ["a-1", "ab"]
    assert [each.id for each in listed(store, place=STAGING)] == ["x"]


def test_counts(store: Registry) -> None:
    report(store, says("1"), says("2"), says("3", B), says("4", OTHER), says("5", minutes=-6), says("6", minutes=-5))
    report(store, says("7", place=STAGING))
    with store.transaction() as tx:
        counted = sorted(tx.instances.counts(PRODUCTION, at(0)), key=lambda each: (each.digest != A, each.count))
    assert counted[:2] == [InstanceCount(A, 3, False, 2), InstanceCount(A, 3, True, 2)]
    assert {each.digest: each for each in counted[2:]} == {
        B: InstanceCount(B, 2, False, 1),
        OTHER: InstanceCount(OTHER, None, False, 1),
    }


def test_a_place_has_room_for_so_many(store: Registry) -> None:
    report(store, says("1"), says("2"), most=2)
    with pytest.raises(Conflict) as full:
        report(store, says("3"), most=2)
    assert full.value.where["limit"] == 2
    assert report(store, says("2", B), most=2)[0].digest == B
    report(store, says("3", place=STAGING), most=2)
    assert [each.id for each in listed(store)] == ["1", "2"]


def test_the_last_of_a_place_is_taken_once(store: Registry) -> None:
    def one(number: int) -> bool:
        try:
            report(store, says(f"pod-{number}"), most=5)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(16))) == [False] * 11 + [True] * 5
    assert len(listed(store)) == 5


def test_the_same_one_at_once(store: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: report(store, says(), most=1), range(16)))
    assert [each.id for each in listed(store)] == ["pod-1"]


def test_deleting(store: Registry) -> None:
    report(store, says(), says(place=STAGING))
    with store.transaction() as tx:
        tx.instances.delete(PRODUCTION, "pod-1")
    assert (listed(store), len(listed(store, place=STAGING))) == ([], 1)
    with pytest.raises(NotFound, match="instance"), store.transaction() as tx:
        tx.instances.delete(PRODUCTION, "pod-1")


def test_forgetting(store: Registry) -> None:
    report(store, says("old", lease=5), says("young", lease=6))
    with store.transaction() as tx:
        assert tx.instances.forget(at(6)) == 1
    assert [each.id for each in listed(store)] == ["young"]


def test_they_go_with_their_environment(store: Registry) -> None:
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
    qa = Place("qa", "iris", "Production")
    report(store, says(), says(place=qa))
    with store.transaction() as tx:
        tx.environments.delete("qa")
    assert (len(listed(store)), listed(store, place=qa)) == (1, [])
