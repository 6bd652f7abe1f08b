"""Versions on their way and versions that were deleted, the same in memory and on Postgres."""

from __future__ import annotations

import time
from typing import Any

import pytest

from service.domain.environment import Place
from service.domain.errors import ConcurrentChange, Conflict, NotFound
from service.domain.model import Lineage
from service.usecases.registration_ports import MAX_MESSAGE, NewRegistration, Registration
from service.usecases.view_versions import FAILED, PENDING, READY
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, fill, manifest, new_version, workspace


def asked(model: str = "iris", **changed: Any) -> NewRegistration:
    values: dict[str, Any] = {
        "workspace": "dev" if model == "iris" else "",
        "source": "runs:/r/model",
        "folder": "mlflow/1/r/artifacts/model/",
        "digest": "",
        "run_id": "r",
        "actor": "ci",
        "actor_id": "token",
        "request_id": "request",
        "lineage": {**vars(Lineage()), "run_id": "r"},
        "description": "text",
        "tags": {"a": "b"},
        **changed,
    }
    return NewRegistration(model=model, **values)


def begin(store: Registry, model: str = "iris", **changed: Any) -> Registration:
    with store.transaction() as tx:
        return tx.registrations.begin(asked(model, **changed))


def start(store: Registry, version: int, model: str = "iris") -> Registration:
    with store.transaction() as tx:
        started = tx.registrations.start(model, version)
    assert started is not None
    return started


def status(store: Registry, version: int, model: str = "iris") -> tuple[str, str | None, str]:
    with store.transaction() as tx:
        known = tx.views.versions([(model, version)])[model, version]
    return known.status, known.status_message, known.digest


def test_a_number_at_once_and_bytes_later(store: Registry) -> None:
    fill(store, "a")
    assert begin(store).version == 2
    assert begin(store).version == 3
    assert status(store, 2) == (PENDING, None, "")
    with store.transaction() as tx:
        assert tx.models.get("iris").versions == (1,)
        with pytest.raises(NotFound, match="still being registered"):
            tx.models.version("iris", 2)
        assert tx.models.add_version(new_version(content="b")).version == 4
    started = start(store, 2)
    assert (started.attempt, started.asked) == (1, asked())
    with store.transaction() as tx:
        version = tx.registrations.finish(started, manifest("c"), {"python_function": {}}, None)
    assert (version.version, version.digest, version.description) == (2, manifest("c").digest, "text")
    assert (version.lineage.run_id, version.created_by, version.flavors) == ("r", "ci", {"python_function": {}})
    with store.transaction() as tx:
        assert tx.models.version("iris", 2) == version
        known = tx.views.versions([("iris", 2)])["iris", 2]
        assert tx.registrations.start("iris", 2) is None
    assert (known.status, known.digest, known.source, known.tags) == (
        READY,
        version.digest,
        "runs:/r/model",
        {"a": "b"},
    )


def test_only_the_last_attempt_ends_it(store: Registry) -> None:
    fill(store)
    begin(store)
    first, second = start(store, 1), start(store, 1)
    with store.transaction() as tx:
        assert not tx.registrations.fail(first, "late")
    with pytest.raises(ConcurrentChange), store.transaction() as tx:
        tx.registrations.finish(first, manifest("a"), {}, None)
    assert status(store, 1) == (PENDING, None, "")
    with store.transaction() as tx:
        assert tx.registrations.fail(second, "x" * (MAX_MESSAGE + 1))
    assert status(store, 1) == (FAILED, "x" * MAX_MESSAGE, "")
    with store.transaction() as tx, pytest.raises(NotFound, match="could not be registered"):
        tx.models.version("iris", 1)


def test_its_end_is_its_last_update(store: Registry) -> None:
    fill(store)
    for end in ("ready", "failed"):
        number = begin(store).version
        with store.transaction() as tx:
            begun = tx.views.versions([("iris", number)])["iris", number]
        time.sleep(0.002)  # times are whole milliseconds
        started = start(store, number)
        with store.transaction() as tx:
            if end == "ready":
                tx.registrations.finish(started, manifest(), {}, None)
            else:
                tx.registrations.fail(started, "why")
            ended = tx.views.versions([("iris", number)])["iris", number]
        assert ended.created == begun.created == begun.updated
        assert (ended.updated or 0) > begun.created, end


def test_names_of_others(store: Registry) -> None:
    fill(store, "a")
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))
    with pytest.raises(Conflict, match="another workspace"):
        begin(store, workspace="other")
    assert begin(store, "ours").version == 1


def test_what_lost_its_job_gets_another(store: Registry) -> None:
    fill(store)
    begin(store)
    begin(store)
    with store.transaction() as tx:
        assert list(tx.registrations.requeue()) == []
    store.lose_jobs()
    with store.transaction() as tx:
        assert sorted(tx.registrations.requeue()) == [("iris", 1), ("iris", 2)]
        assert list(tx.registrations.requeue()) == []


def test_a_deleted_version_leaves_its_number_taken(store: Registry) -> None:
    fill(store, "a", "b")
    begin(store)
    with store.transaction() as tx:
        place = Place("prod", "iris", "Production")
        assign(tx, assignment(2, minutes=1))
        assign(tx, assignment(1, minutes=2))
        for number in (2, 3):
            tx.models.delete_version("iris", number, "root", at(3))
        assert (tx.models.get("iris").versions, list(tx.models.numbers("iris"))) == ((1,), [1])
        for number in (2, 3):
            with pytest.raises(NotFound, match=f"no version {number}"):
                tx.models.version("iris", number)
            with pytest.raises(NotFound):
                tx.models.delete_version("iris", number, "root", at(3))
        assert list(tx.models.of_digest("iris", manifest("b").digest)) == []
        assert tx.stages.restorable(place, 3, 1) is None
        assert tx.registrations.start("iris", 3) is None
        assert tx.views.versions([("iris", 2), ("iris", 3)]) == {}
        assert [change.version for change in tx.stages.history(place, 9, None)] == [1, 2]
        assert tx.models.has_manifest(manifest("b").digest)
        assert tx.models.add_version(new_version(content="b")).version == 4


def test_a_deleted_model_leaves_its_name_free_and_its_numbers_taken(store: Registry) -> None:
    fill(store, "a", "b")
    begin(store)
    with store.transaction() as tx:
        assert list(tx.models.delete("iris", "root", at(1))) == [1, 2, 3]
        assert tx.models.owner("iris") is None
        assert list(tx.models.list()) == []
        for ask in (tx.models.get, tx.models.numbers, lambda name: tx.models.delete(name, "root", at(1))):
            with pytest.raises(NotFound):
                ask("iris")
        assert tx.models.own("iris", "", None)
        assert (tx.models.owner("iris"), tx.models.get("iris").versions) == ("", ())
        assert tx.registrations.begin(asked(workspace="")).version == 4


def test_a_new_name_takes_everything_along(store: Registry) -> None:
    fill(store, "a")
    begin(store)
    begin(store, "taken")
    with store.transaction() as tx:
        assert not tx.models.was_in_a_stage("iris")
        with pytest.raises(Conflict):
            tx.models.rename("iris", "taken", at(1))
        tx.models.rename("iris", "lily", at(1))
        assert (tx.models.get("lily").versions, list(tx.models.numbers("lily"))) == ((1,), [1, 2])
        assert tx.models.version("lily", 1).model == "lily"
        assert tx.models.owner("iris") is None
        with pytest.raises(NotFound):
            tx.models.get("iris")
        started = tx.registrations.start("lily", 2)
        assert started is not None
        assert tx.registrations.finish(started, manifest("c"), {}, None).model == "lily"
        assign(tx, assignment(1, model="lily", minutes=1))
        assert tx.models.was_in_a_stage("lily")
