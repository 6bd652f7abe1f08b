"""Stages of every registry: what is current, how it changes, what is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.environment import Assignment
from service.domain.errors import NotFound
from service.stores.memory_state import Transition
from tests.contract.registries import Registry
from tests.contract.samples import assignment, at, environment, fill, manifest, new_version


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b", "c")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
        tx.models.add_version(new_version("other"))


def assign(store: Registry, wanted: Assignment) -> Assignment:
    with store.transaction() as tx:
        return tx.stages.assign(wanted)


def assign_both(store: Registry, first: Assignment, second: Assignment) -> None:
    with store.transaction() as tx:
        tx.stages.assign(first)
        tx.stages.assign(second)


def current(store: Registry, stage: str = "Production") -> Assignment:
    with store.transaction() as tx:
        held, version = tx.stages.current("prod", "iris", stage)
        assert version == tx.models.version("iris", held.version)
        assert held.digest == version.digest
    return held


def test_assign(store: Registry) -> None:
    assigned = assign(store, assignment(2, minutes=5))
    assert assigned == replace(assignment(2, minutes=5), digest=manifest("b").digest, revision=1)
    assert current(store) == assigned


def test_each_change_has_the_next_revision(store: Registry) -> None:
    versions = [1, 2, 1, 3]
    assigned = [assign(store, assignment(version, minutes=version)) for version in versions]
    assert [(each.version, each.revision) for each in assigned] == [(1, 1), (2, 2), (1, 3), (3, 4)]
    assert current(store) == assigned[-1]


def test_the_current_version_is_left_as_it_is(store: Registry) -> None:
    first = assign(store, assignment(1))
    again = replace(assignment(1, minutes=9), comment="again", assigned_by="someone")
    assert assign(store, again) == first
    assert current(store) == first
    assert assign(store, assignment(2)).revision == 2
    assert len(store.transitions()) == 2


def test_every_place_counts_for_itself(store: Registry) -> None:
    places = [
        assignment(1),
        assignment(1, "Staging"),
        assignment(1, environment="qa"),
        assignment(1, model="other"),
    ]
    assert [assign(store, place).revision for place in places] == [1, 1, 1, 1]
    assert assign(store, assignment(2)).revision == 2
    assert current(store, "Staging").version == 1
    with store.transaction() as tx:
        assert tx.stages.current("qa", "iris", "Production")[0].version == 1
        assert tx.stages.current("prod", "other", "Production")[0].version == 1


def test_transitions(store: Registry) -> None:
    for minutes, version in enumerate([1, 1, 3, 1]):
        assign(store, assignment(version, minutes=minutes))
    place = ("prod", "iris", "Production")
    a, c = manifest("a").digest, manifest("c").digest
    assert list(store.transitions()) == [
        Transition(*place, 1, 1, a, None, "ci", "version 1", at(0)),
        Transition(*place, 2, 3, c, 1, "ci", "version 3", at(2)),
        Transition(*place, 3, 1, a, 3, "ci", "version 1", at(3)),
    ]


def test_a_change_that_is_rolled_back_leaves_no_gap(store: Registry) -> None:
    assign(store, assignment(1))
    with pytest.raises(NotFound):
        assign_both(store, assignment(2), assignment(99, "Staging"))
    assert current(store).version == 1
    assert assign(store, assignment(3)).revision == 2
    assert [each.version for each in store.transitions()] == [1, 3]


@pytest.mark.parametrize(
    ("changed", "kind", "name"),
    [
        ({"environment": "absent"}, "environment", "absent"),
        ({"stage": "Absent"}, "stage", "Absent"),
        ({"stage": "production"}, "stage", "production"),
        ({"model": "absent"}, "model", "absent"),
        ({"model": "IRIS"}, "model", "IRIS"),
        ({"version": 4}, "version", "4"),
        ({"version": 0}, "version", "0"),
        ({"version": 2**31}, "version", str(2**31)),
        ({"version": 10**30}, "version", str(10**30)),
        ({"environment": "absent", "stage": "Absent", "model": "absent", "version": 4}, "environment", "absent"),
        ({"stage": "Absent", "model": "absent", "version": 4}, "stage", "Absent"),
        ({"model": "absent", "version": 4}, "model", "absent"),
    ],
)
def test_assign_names_what_is_absent(store: Registry, changed: dict[str, object], kind: str, name: str) -> None:
    first = assign(store, assignment(1))
    with pytest.raises(NotFound) as caught:
        assign(store, replace(assignment(2), **changed))  # type: ignore[arg-type]
    assert caught.value.where == {"kind": kind, "name": name}
    assert current(store) == first
    assert len(store.transitions()) == 1


@pytest.mark.parametrize(
    ("address", "kind", "name"),
    [
        (("absent", "iris", "Production"), "environment", "absent"),
        (("prod", "absent", "Production"), "model", "absent"),
        (("prod", "iris", "Absent"), "stage", "Absent"),
        (("prod", "iris", "Staging"), "assignment", "Staging"),
        (("qa", "iris", "Production"), "assignment", "Production"),
        (("prod", "other", "Production"), "assignment", "Production"),
        (("absent", "absent", "Absent"), "environment", "absent"),
        (("prod", "absent", "Absent"), "stage", "Absent"),
    ],
)
def test_current_names_what_is_absent(store: Registry, address: tuple[str, str, str], kind: str, name: str) -> None:
    assign(store, assignment(1))
    with store.transaction() as tx, pytest.raises(NotFound) as caught:
        tx.stages.current(*address)
    assert caught.value.where == {"kind": kind, "name": name}


def test_list(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.stages.list("prod")) == []
        assert list(tx.stages.list("absent")) == []
    other = assign(store, assignment(1, model="other"))
    staging = assign(store, assignment(2, "Staging"))
    assign(store, assignment(1))
    production = assign(store, assignment(3))
    elsewhere = assign(store, assignment(3, environment="qa"))
    with store.transaction() as tx:
        assert list(tx.stages.list("prod")) == [production, staging, other]
        assert list(tx.stages.list("qa")) == [elsewhere]
