"""Imports of every registry: taken in once, from state to state, page by page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.domain.errors import Conflict, NotFound
from service.domain.importing import Import, ImportState
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, new_import, workspace

NO_IDS = ["00000000-0000-0000-0000-000000000000", "no id", "", "ä"]
FINAL = [state for state in ImportState if state.final]


def add(store: Registry, new: Import, idempotency_key: str | None = None) -> Import:
    with store.transaction() as tx:
        return tx.imports.add(new, idempotency_key)


def get(store: Registry, import_id: str) -> Import:
    with store.transaction() as tx:
        return tx.imports.get(import_id)


def finish(store: Registry, import_id: str, state: ImportState, **told: Any) -> bool:
    with store.transaction() as tx:
        return tx.imports.finish(import_id, state, at(30), **told)


@pytest.fixture(autouse=True)
def _workspaces(store: Registry) -> None:
    fill(store)
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))


# --- add


def test_add(store: Registry) -> None:
    new = new_import(experiment_name="Größe", model_name="m", environment="prod")
    assert add(store, new, "key") == new
    assert get(store, new.id) == new
    assert list(store.queued()) == [new.id]


@pytest.mark.parametrize("state", [ImportState.RECEIVED, ImportState.RUNNING, ImportState.DONE])
def test_the_same_request_is_the_same_import(store: Registry, state: ImportState) -> None:
    first = add(store, new_import("a"))
    if state is not ImportState.RECEIVED:
        with store.transaction() as tx:
            tx.imports.start(first.id, at(1))
    if state is ImportState.DONE:
        assert finish(store, first.id, state)
    known = get(store, first.id)
    assert known.state == state
    assert add(store, new_import("a")) == known
    assert add(store, new_import("a"), "a key") == known
    assert list(store.queued()) == [first.id]


@pytest.mark.parametrize("state", [ImportState.REFUSED, ImportState.FAILED, ImportState.CANCELLED])
def test_what_was_turned_away_may_come_again(store: Registry, state: ImportState) -> None:
    first = add(store, new_import("a"), "key")
    assert finish(store, first.id, state)
    second = new_import("a", minutes=1)
    assert add(store, second, "key") == second
    assert add(store, new_import("a"), "key") == second
    assert get(store, first.id).state == state
    assert list(store.queued()) == [first.id, second.id]


def test_another_request_is_another_import(store: Registry) -> None:
    requests = [
        new_import("a"),
        new_import("b"),
        new_import("a", "other"),
        new_import("a", experiment_name="x"),
        new_import("a", model_name="x"),
    ]
    assert [add(store, new) for new in requests] == requests


def test_an_idempotency_key_stands_for_one_request(store: Registry) -> None:
    first = add(store, new_import("a"), "key")
    assert add(store, new_import("a"), "key") == first
    for other in (new_import("b"), new_import("a", model_name="m")):
        with pytest.raises(Conflict) as caught:
            add(store, other, "key")
        assert caught.value.where == {"header": "Idempotency-Key", "key": "key"}
    assert list(store.queued()) == [first.id]


def test_an_idempotency_key_is_a_workspace_s_own(store: Registry) -> None:
    add(store, new_import("a"), "key")
    elsewhere = new_import("b", "other")
    assert add(store, elsewhere, "key") == elsewhere


def test_an_idempotency_key_counts_before_the_request(store: Registry) -> None:
    add(store, new_import("a"), "key of a")
    b = add(store, new_import("b"), "key of b")
    with pytest.raises(Conflict):
        add(store, new_import("a"), "key of b")
    assert add(store, new_import("b"), "a third key") == b


def test_a_refused_import_frees_its_idempotency_key(store: Registry) -> None:
    first = add(store, new_import("a"), "key")
    finish(store, first.id, ImportState.REFUSED)
    other = new_import("b")
    assert add(store, other, "key") == other


def test_an_import_needs_its_workspace(store: Registry) -> None:
    with pytest.raises(Conflict):
        add(store, new_import(workspace="absent"))
    assert list(store.queued()) == []


# --- get, start, progress, finish


@pytest.mark.parametrize("name", NO_IDS)
def test_no_such_import(store: Registry, name: str) -> None:
    with store.transaction() as tx:
        with pytest.raises(NotFound) as caught:
            tx.imports.get(name)
        assert caught.value.where == {"kind": "import", "name": name}
        with pytest.raises(NotFound) as caught:
            tx.imports.retry(name)
        assert caught.value.where == {"kind": "import", "name": name}
        assert tx.imports.progress(name, 0, {}) is False
        with pytest.raises(NotFound):
            tx.imports.list(None, 10, name)
        assert tx.imports.start(name, at(0)) is None
        assert tx.imports.finish(name, ImportState.DONE, at(0)) is False


def test_start(store: Registry) -> None:
    new = add(store, new_import())
    with store.transaction() as tx:
        started = tx.imports.start(new.id, at(1))
    assert started == replace(new, state=ImportState.RUNNING, started_at=at(1), attempts=1)
    with store.transaction() as tx:
        again = tx.imports.start(new.id, at(2))
    assert again == replace(started, started_at=at(2), attempts=2)
    assert get(store, new.id) == again


@pytest.mark.parametrize("state", FINAL)
def test_a_final_import_does_not_start(store: Registry, state: ImportState) -> None:
    new = add(store, new_import())
    finish(store, new.id, state)
    before = get(store, new.id)
    with store.transaction() as tx:
        assert tx.imports.start(new.id, at(40)) is None
    assert get(store, new.id) == before


def test_progress(store: Registry) -> None:
    new = add(store, new_import())
    with store.transaction() as tx:
        assert tx.imports.progress(new.id, 0, {"bytes": 2**40})
        tx.imports.start(new.id, at(1))
        assert tx.imports.progress(new.id, 1, {"rows": 1, "bytes": 2})
    assert get(store, new.id).progress == {"rows": 1, "bytes": 2}


def test_progress_tells_of_a_cancellation(store: Registry) -> None:
    new = add(store, new_import())
    finish(store, new.id, ImportState.CANCELLED)
    before = get(store, new.id)
    with store.transaction() as tx:
        assert tx.imports.progress(new.id, 0, {"rows": 1}) is False
    assert get(store, new.id) == before


def test_an_earlier_attempt_writes_no_more(store: Registry) -> None:
    new = add(store, new_import())
    with store.transaction() as tx:
        tx.imports.start(new.id, at(1))
        second = tx.imports.start(new.id, at(2))
    with store.transaction() as tx:
        assert tx.imports.progress(new.id, 1, {"rows": 1}) is False
        assert tx.imports.finish(new.id, ImportState.DONE, at(3), report={}, attempt=1) is False
    assert get(store, new.id) == second
    with store.transaction() as tx:
        assert tx.imports.progress(new.id, 2, {"rows": 2})
        assert tx.imports.finish(new.id, ImportState.DONE, at(4), report={}, attempt=2)


def test_retry(store: Registry) -> None:
    new = add(store, new_import())
    with store.transaction() as tx:
        started = tx.imports.start(new.id, at(1))
        tx.imports.progress(new.id, 1, {"rows": 1})
    assert started is not None
    finish(store, new.id, ImportState.FAILED, problem={"title": "No"})
    with store.transaction() as tx:
        again = tx.imports.retry(new.id)
    assert again == get(store, new.id) == replace(started, state=ImportState.RECEIVED)
    assert set(store.queued()) == {new.id}
    assert add(store, new_import()) == again


@pytest.mark.parametrize("state", [state for state in ImportState if state is not ImportState.FAILED])
def test_only_what_failed_is_tried_again(store: Registry, state: ImportState) -> None:
    new = add(store, new_import())
    if state is not ImportState.RECEIVED:
        with store.transaction() as tx:
            tx.imports.start(new.id, at(1))
    if state.final:
        finish(store, new.id, state)
    before = get(store, new.id)
    with pytest.raises(Conflict) as caught, store.transaction() as tx:
        tx.imports.retry(new.id)
    assert caught.value.where == {"state": state}
    assert get(store, new.id) == before


def test_what_came_again_is_not_tried_again(store: Registry) -> None:
    first = add(store, new_import("a"))
    finish(store, first.id, ImportState.FAILED)
    second = add(store, new_import("a", minutes=1))
    with pytest.raises(Conflict), store.transaction() as tx:
        tx.imports.retry(first.id)
    finish(store, second.id, ImportState.REFUSED)
    with store.transaction() as tx:
        assert tx.imports.retry(first.id).state == ImportState.RECEIVED


def test_what_failed_can_be_cancelled(store: Registry) -> None:
    new = add(store, new_import())
    finish(store, new.id, ImportState.FAILED, problem={"title": "No"})
    assert finish(store, new.id, ImportState.DONE) is False
    assert finish(store, new.id, ImportState.CANCELLED) is True
    assert get(store, new.id) == replace(new, state=ImportState.CANCELLED, finished_at=at(30))
    assert finish(store, new.id, ImportState.CANCELLED) is False


def test_requeue(store: Registry) -> None:
    waiting, running, done = (add(store, new_import(name, minutes=minutes)) for minutes, name in enumerate("abc"))
    with store.transaction() as tx:
        tx.imports.start(running.id, at(1))
        tx.imports.finish(done.id, ImportState.DONE, at(1))
        assert tx.imports.requeue() == []
    store.lose_jobs()
    with store.transaction() as tx:
        assert tx.imports.requeue() == [waiting.id, running.id]
    assert list(store.queued()) == [waiting.id, running.id]


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("state", FINAL)
def test_finish(store: Registry, state: ImportState, started: bool) -> None:
    new = add(store, new_import())
    if started:
        with store.transaction() as tx:
            tx.imports.start(new.id, at(1))
    before = get(store, new.id)
    report = {"models": {"iris": [1, 2]}, "name": "Größe", "none": None}
    assert finish(store, new.id, state, report=report) is True
    expected = replace(before, state=state, finished_at=at(30), report=report)
    assert get(store, new.id) == expected
    with store.transaction() as tx:
        assert tx.imports.finish(new.id, ImportState.FAILED, at(99), problem={"title": "late"}) is False
    assert get(store, new.id) == expected


def test_finish_with_a_problem(store: Registry) -> None:
    new = add(store, new_import())
    finish(store, new.id, ImportState.REFUSED, problem={"title": "No", "file": "a"})
    refused = get(store, new.id)
    assert (refused.report, refused.problem) == (None, {"title": "No", "file": "a"})


def test_finish_keeps_what_can_be_kept_of_odd_texts(store: Registry) -> None:
    new = add(store, new_import())
    odd = {"file": "a\x00b\ud800c", "backslash": "\\u0000", "value": float("nan")}
    assert finish(store, new.id, ImportState.REFUSED, problem=odd)
    assert get(store, new.id).problem == {"file": "abc", "backslash": "\\u0000", "value": "NaN"}


def test_what_a_caller_changes_later_is_not_stored(store: Registry) -> None:
    new = add(store, new_import())
    progress, report = {"rows": 1}, {"models": ["a"]}
    with store.transaction() as tx:
        tx.imports.progress(new.id, 0, progress)
        tx.imports.finish(new.id, ImportState.DONE, at(1), report=report)
    progress["rows"] = 2
    report["models"].append("b")
    kept = get(store, new.id)
    assert (kept.progress, kept.report) == ({"rows": 1}, {"models": ["a"]})
