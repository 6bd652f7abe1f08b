"""Stages of every registry: what is current, how it changes, what is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, environment, fill, manifest, new_version


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b", "c")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))
        tx.models.add_version(new_version("other"))


def assigned(store: Registry, wanted: Assignment) -> Assignment:
    with store.transaction() as tx:
        return assign(tx, wanted)


def assign_both(store: Registry, first: Assignment, second: Assignment) -> None:
    with store.transaction() as tx:
        assign(tx, first)
        assign(tx, second)


def current(store: Registry, stage: str = "Production") -> Assignment:
    with store.transaction() as tx:
        held, version = tx.stages.current("prod", "iris", stage)
        assert version == tx.models.version("iris", held.version)
        assert held.digest == version.digest
    return held


def test_assign(store: Registry) -> None:
    done = assigned(store, assignment(2, minutes=5))
    assert done == replace(assignment(2, minutes=5), digest=manifest("b").digest, revision=1)
    assert current(store) == done


def test_each_change_has_the_next_revision(store: Registry) -> None:
    versions = [1, 2, 1, 3]
    done = [assigned(store, assignment(version, minutes=version)) for version in versions]
    assert [(each.version, each.revision) for each in done] == [(1, 1), (2, 2), (1, 3), (3, 4)]
    assert current(store) == done[-1]


def test_the_current_version_is_left_as_it_is(store: Registry) -> None:
    first = assigned(store, assignment(1))
    again = replace(assignment(1, minutes=9), comment="again", assigned_by="someone")
    assert assigned(store, again) == first
    assert current(store) == first
    assert assigned(store, assignment(2)).revision == 2
    assert len(store.transitions()) == 2


def test_every_place_counts_for_itself(store: Registry) -> None:
    places = [
        assignment(1),
        assignment(1, "Staging"),
        assignment(1, environment="qa"),
        assignment(1, model="other"),
    ]
    assert [assigned(store, place).revision for place in places] == [1, 1, 1, 1]
    assert assigned(store, assignment(2)).revision == 2
    assert current(store, "Staging").version == 1
    with store.transaction() as tx:
        assert tx.stages.current("qa", "iris", "Production")[0].version == 1
        assert tx.stages.current("prod", "other", "Production")[0].version == 1


def test_transitions(store: Registry) -> None:
    for minutes, version in enumerate([1, 1, 3, 1]):
        assigned(store, assignment(version, minutes=minutes))
    place = ("prod", "iris", "Production")
    a, c = manifest("a").digest, manifest("c").digest
    rows = list(store.transitions())
    told = [
        (row.place, row.revision, row.version, row.digest, row.previous_version, row.previous_digest) for row in rows
    ]
    assert told == [(place, 1, 1, a, None, None), (place, 2, 3, c, 1, a), (place, 3, 1, a, 3, c)]
    assert [(row.actor, row.comment, row.at, row.kind) for row in rows] == [
        ("ci", "version 1", at(0), "promotion"),
        ("ci", "version 3", at(2), "promotion"),
        ("ci", "version 1", at(3), "promotion"),
    ]
    with store.transaction() as tx:
        assert list(tx.stages.history(Place(*place), 2, None)) == rows[:0:-1]
        assert list(tx.stages.history(Place(*place), 2, 2)) == rows[:1]
        assert tx.stages.last(Place(*place)) == rows[2]
        assert [tx.stages.change_by(Place(*place), at(minute)) for minute in (-1, 0, 1, 2, 9)] == [
            None,
            rows[0],
            rows[0],
            rows[1],
            rows[2],
        ]


def test_a_change_that_is_rolled_back_leaves_no_gap(store: Registry) -> None:
    assigned(store, assignment(1))
    with pytest.raises(NotFound):
        assign_both(store, assignment(2), assignment(99, "Staging"))
    assert current(store).version == 1
    assert assigned(store, assignment(3)).revision == 2
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
    first = assigned(store, assignment(1))
    with pytest.raises(NotFound) as caught:
        assigned(store, replace(assignment(2), **changed))  # type: ignore[arg-type]
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
    assigned(store, assignment(1))
    with store.transaction() as tx, pytest.raises(NotFound) as caught:
        tx.stages.current(*address)
    assert caught.value.where == {"kind": kind, "name": name}


def test_a_model_is_locked_in_environments_that_are_there(store: Registry) -> None:
    with store.transaction() as tx:
        tx.stages.lock_model("iris", {"prod", "qa"})
        with pytest.raises(NotFound) as caught:
            tx.stages.lock_model("iris", {"prod", "absent"})
    assert caught.value.where == {"kind": "environment", "name": "absent"}


def test_list(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.stages.list("prod")) == []
        assert list(tx.stages.list("absent")) == []
    other = assigned(store, assignment(1, model="other"))
    staging = assigned(store, assignment(2, "Staging"))
    assigned(store, assignment(1))
    production = assigned(store, assignment(3))
    elsewhere = assigned(store, assignment(3, environment="qa"))
    with store.transaction() as tx:
        assert list(tx.stages.list("prod")) == [production, staging, other]
        assert list(tx.stages.list("qa")) == [elsewhere]
