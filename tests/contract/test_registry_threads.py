"""Several clients at once: nothing is doubled, lost or skipped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar, cast

import pytest

from service.domain.environment import Assignment, Environment
from service.domain.errors import Conflict, InUse, NotFound
from service.domain.identity import ADMIN, Principal, Token
from service.domain.importing import Import, ImportState
from service.domain.workspace import Workspace
from service.usecases.delete_version import delete_version
from service.usecases.model_ports import NewVersion
from service.usecases.ports import Transaction
from tests.contract.registries import Registry
from tests.contract.samples import (
    assign,
    assignment,
    at,
    environment,
    exported,
    fill,
    new_import,
    new_version,
    token,
    workspace,
)

T = TypeVar("T")
ROUNDS = 5


def at_once(store: Registry, works: Sequence[Callable[[Transaction], T]]) -> list[T | Exception]:
    """Each in a transaction and a thread of its own, all begun together; what each returned or raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[Transaction], T]) -> T | Exception:
        gate.wait(30)
        try:
            with store.transaction() as tx:
                done = work(tx)
                time.sleep(0.002)  # so that the others come in before the commit
                return done
        except (Conflict, NotFound) as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def all_done(answers: Sequence[T | Exception]) -> list[T]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return cast(list[T], answers)


def adding(new: Import, key: str | None = None) -> Callable[[Transaction], Import]:
    return lambda tx: tx.imports.add(new, key)


def registering(new: NewVersion) -> Callable[[Transaction], int]:
    return lambda tx: tx.models.add_version(new).version


def finishing(one: Import, state: ImportState) -> Callable[[Transaction], bool]:
    return lambda tx: tx.imports.finish(one.id, state, at(1))


def assigning(wanted: Assignment) -> Callable[[Transaction], Assignment]:
    return lambda tx: assign(tx, wanted)


def changing(wanted: Environment) -> Callable[[Transaction], object]:
    return lambda tx: "created" if tx.environments.put(wanted) else "changed"


def putting(wanted: Workspace) -> Callable[[Transaction], bool]:
    return lambda tx: tx.workspaces.put(wanted)


def revoking(one: Token, minutes: int) -> Callable[[Transaction], Token]:
    return lambda tx: tx.tokens.revoke(one.id, at(minutes))


@pytest.fixture(autouse=True)
def _filled(store: Registry) -> None:
    fill(store, *(f"content {number}" for number in range(8)))
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))


def test_the_same_request_twice_is_one_import(store: Registry) -> None:
    for number in range(ROUNDS):
        requests = [new_import(f"archive {number}") for _ in range(2)]
        answers = all_done(at_once(store, [adding(new) for new in requests]))
        assert answers[0] == answers[1]
        assert answers[0] in requests
    assert len(store.queued()) == ROUNDS
    with store.transaction() as tx:
        assert len(tx.imports.list(None, 100, None)) == ROUNDS


def test_an_idempotency_key_used_for_two_requests_at_once_is_one_import(store: Registry) -> None:
    for number in range(ROUNDS):
        requests = [new_import(f"archive {number} {side}") for side in "ab"]
        answers = at_once(store, [adding(new, f"key {number}") for new in requests])
        assert {type(answer) for answer in answers} == {Import, Conflict}
    assert len(store.queued()) == ROUNDS


def test_an_import_that_is_refused_meanwhile_does_not_block(store: Registry) -> None:
    for number in range(ROUNDS):
        with store.transaction() as tx:
            first = tx.imports.add(new_import(f"archive {number}"), None)
        second = new_import(f"archive {number}")
        answers = at_once(store, [finishing(first, ImportState.REFUSED), adding(second)])
        assert answers[0] is True
        assert answers[1] in (first, second)


@pytest.mark.parametrize("other", [ImportState.CANCELLED, ImportState.FAILED])
def test_one_of_many_finishes(store: Registry, other: ImportState) -> None:
    """What failed can still be cancelled: the two of them may both come."""
    with store.transaction() as tx:
        new = tx.imports.add(new_import(), None)
    states = [ImportState.DONE, other, ImportState.REFUSED]
    answers = all_done(at_once(store, [finishing(new, state) for state in states]))
    assert sorted(answers) == [False, False, True]
    with store.transaction() as tx:
        assert tx.imports.get(new.id).state == states[answers.index(True)]


def test_attempts_are_counted(store: Registry) -> None:
    with store.transaction() as tx:
        new = tx.imports.add(new_import(), None)
    all_done(at_once(store, [lambda tx: tx.imports.start(new.id, at(1))] * 6))
    with store.transaction() as tx:
        assert tx.imports.get(new.id).attempts == 6


def test_a_stage_has_one_current_version_and_no_gap_in_its_revisions(store: Registry) -> None:
    for number in range(ROUNDS):
        wanted = [assignment(version, f"Stage {number}", minutes=version) for version in range(1, 9)]
        with store.transaction() as tx:
            tx.environments.put(environment("prod", [f"Stage {each}" for each in range(number + 1)]))
        assigned = all_done(at_once(store, [assigning(each) for each in wanted]))
        revisions = {each.revision: each for each in assigned}
        assert sorted(revisions) == list(range(1, 9))
        with store.transaction() as tx:
            assert tx.stages.current("prod", "iris", f"Stage {number}")[0] == revisions[8]
            assert len(tx.stages.list("prod")) == number + 1
        changes = {each.revision: each for each in store.transitions() if each.stage == f"Stage {number}"}
        assert [changes[revision].version for revision in range(1, 9)] == [
            revisions[revision].version for revision in range(1, 9)
        ]
        assert [changes[revision].previous_version for revision in range(1, 9)] == [
            None,
            *(revisions[revision].version for revision in range(1, 8)),
        ]


def test_the_same_version_at_once_is_one_change(store: Registry) -> None:
    wanted = [replace(assignment(1), assigned_by=f"client {number}") for number in range(8)]
    assigned = all_done(at_once(store, [assigning(each) for each in wanted]))
    assert {each.revision for each in assigned} == {1}
    assert len({each.assigned_by for each in assigned}) == 1
    assert len(store.transitions()) == 1


def test_a_stage_is_either_taken_away_or_used(store: Registry) -> None:
    for number in range(ROUNDS):
        with store.transaction() as tx:
            tx.environments.put(environment(f"env-{number}"))
        answers = at_once(
            store,
            [
                assigning(assignment(1, environment=f"env-{number}")),
                changing(environment(f"env-{number}", ["Staging"])),
            ],
        )
        with store.transaction() as tx:
            stages = tx.environments.get(f"env-{number}").stages
            held = tx.stages.list(f"env-{number}")
        if isinstance(answers[0], NotFound):
            assert answers[1] == "changed"
            assert (stages, len(held)) == (("Staging",), 0)
        else:
            assert isinstance(answers[1], InUse)
            assert (stages, len(held)) == (("Staging", "Production"), 1)


def test_an_archived_version_is_either_deleted_or_used(store: Registry) -> None:
    """The deletion empties `Archived`, and has nothing done when another stage got the version first."""
    root = Principal("", "root", (ADMIN,))
    with store.transaction() as tx:
        tx.environments.put(environment("prod", ["Production", "Archived"]))
    for number in range(ROUNDS):
        model = f"model-{number}"
        with store.transaction() as tx:
            tx.models.add_version(new_version(model))
            assign(tx, assignment(1, "Archived", model))
        wanted = assignment(1, "Production", model)
        answers = at_once(store, [lambda tx, m=model: delete_version(tx, lambda: at(9), root, m, 1), assigning(wanted)])
        with store.transaction() as tx:
            held = [place.stage for place in tx.stages.holding(model, 1)]
        if isinstance(answers[1], NotFound):
            assert (answers[0], held) == (None, [])
        else:
            assert isinstance(answers[0], InUse)
            assert held == ["Archived", "Production"]


def test_versions_are_numbered_without_gaps(store: Registry) -> None:
    news = [new_version("new", content=f"content {number}") for number in range(8)]
    assert sorted(all_done(at_once(store, [registering(new) for new in news]))) == list(range(1, 9))
    with store.transaction() as tx:
        assert tx.models.get("new").versions == tuple(range(1, 9))


def test_the_same_original_at_once_is_one_version(store: Registry) -> None:
    assert at_once(store, [registering(exported({"new": 5}))] * 8) == [5] * 8
    with store.transaction() as tx:
        assert tx.models.get("new").versions == (5,)


def test_a_new_name_has_one_owner(store: Registry) -> None:
    for number in range(ROUNDS):
        news = [new_version(f"new {number}", owner) for owner in ("dev", "other")]
        answers = at_once(store, [registering(new) for new in news])
        assert sorted(isinstance(answer, Conflict) for answer in answers) == [False, True]
        with store.transaction() as tx:
            assert tx.models.owner(f"new {number}") == ("dev", "other")[answers.index(1)]


def test_a_workspace_is_created_once(store: Registry) -> None:
    for number in range(ROUNDS):
        created = all_done(at_once(store, [putting(workspace(f"w-{number}"))] * 4))
        assert sorted(created) == [False, False, False, True]


def test_a_token_is_revoked_once(store: Registry) -> None:
    one = token()
    with store.transaction() as tx:
        tx.tokens.add(one, b"hash")
    revoked = all_done(at_once(store, [revoking(one, minutes) for minutes in range(6)]))
    assert len({each.revoked_at for each in revoked}) == 1
