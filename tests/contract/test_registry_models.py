"""Registered models of every registry, and what it knows of runs and experiments."""

from __future__ import annotations

import pytest

from service.domain.errors import NotFound
from service.domain.model import ModelVersion, RegisteredModel
from service.usecases.model_ports import ModelDetails, NewVersion, RunInfo
from tests.contract.registries import Registry
from tests.contract.samples import fill, manifest, new_version, workspace


@pytest.fixture(autouse=True)
def _workspaces(store: Registry) -> None:
    fill(store)
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))


def add(store: Registry, new: NewVersion) -> ModelVersion:
    with store.transaction() as tx:
        return tx.models.add_version(new)


def get(store: Registry, name: str) -> RegisteredModel:
    with store.transaction() as tx:
        return tx.models.get(name)


# --- reading


def test_list(store: Registry) -> None:
    with store.transaction() as tx:
        assert list(tx.models.list()) == []
    for name in ("c", "a", "b"):
        add(store, new_version(name))
    add(store, new_version("a", content="b"))
    store.add_mlflow_model("of mlflow alone")
    with store.transaction() as tx:
        models = tx.models.list()
        assert [(model.name, model.versions) for model in models] == [("a", (1, 2)), ("b", (1,)), ("c", (1,))]
        assert [tx.models.get(model.name) for model in models] == list(models)


def test_what_is_not_there(store: Registry) -> None:
    add(store, new_version())
    with store.transaction() as tx:
        with pytest.raises(NotFound) as caught:
            tx.models.get("absent")
        assert caught.value.where == {"kind": "model", "name": "absent"}
        with pytest.raises(NotFound) as caught:
            tx.models.version("absent", 1)
        assert caught.value.where == {"kind": "model", "name": "absent"}
        for number in (0, -1, 2, 2**31, 2**63, 10**30):
            with pytest.raises(NotFound) as caught:
                tx.models.version("iris", number)
            assert caught.value.where == {"kind": "version", "name": str(number)}


def test_manifests(store: Registry) -> None:
    added = add(store, new_version(content="a"))
    add(store, new_version("another", content="a"))
    with store.transaction() as tx:
        assert tx.models.has_manifest(added.digest) is True
        assert tx.models.manifest(added.digest) == manifest("a")
        absent = manifest("b").digest
        assert tx.models.has_manifest(absent) is False
        with pytest.raises(NotFound) as caught:
            tx.models.manifest(absent)
        assert caught.value.where == {"kind": "digest", "name": absent}


def test_set_details(store: Registry) -> None:
    add(store, new_version())
    add(store, new_version("another"))
    with store.transaction() as tx:
        tx.models.set_details("iris", ModelDetails("text", {"a": "1", "b": "2"}, {"champion": 1}))
    model = get(store, "iris")
    assert (model.description, model.tags, model.aliases) == ("text", {"a": "1", "b": "2"}, {"champion": 1})
    with store.transaction() as tx:
        tx.models.set_details("iris", ModelDetails("", {"b": "3", "ä": ""}, {"champion": 2, "new": 1}, 1, 2))
    model = get(store, "iris")
    assert model.description == "text"
    assert model.tags == {"a": "1", "b": "3", "ä": ""}
    assert model.aliases == {"champion": 2, "new": 1}
    assert (get(store, "another").tags, get(store, "another").aliases) == ({}, {})


def test_set_details_of_a_model_that_is_not_there(store: Registry) -> None:
    with store.transaction() as tx:
        tx.models.set_details("absent", ModelDetails("text", {"a": "1"}, {"b": 1}))
        assert tx.models.owner("absent") is None
        assert list(tx.models.list()) == []


# --- what MLflow's side holds


def test_a_run_that_was_logged_here(store: Registry) -> None:
    told = {"user": "anna", "run_start_time": 1000, "run_end_time": None}
    run = RunInfo("a" * 32, "5", "", "mlflow-artifacts:/5/run/artifacts", told)
    store.add_run(run)
    with store.transaction() as tx:
        assert tx.models.run("a" * 32) == run
        with pytest.raises(NotFound):
            tx.models.imported_run("dev", "a" * 32)


def test_an_imported_run(store: Registry) -> None:
    kept = RunInfo("a" * 32, "5", "dev", "mlflow-artifacts:/workspaces/dev/x", {"user": "anna", "notebook": "/n"})
    renamed = RunInfo("b" * 32, "5", "other", "mlflow-artifacts:/workspaces/other/x", {"user": "bert"})
    store.add_run(kept)
    store.add_run(renamed, original_run_id="a" * 32)
    with store.transaction() as tx:
        assert tx.models.run("a" * 32) == tx.models.imported_run("dev", "a" * 32) == kept
        assert tx.models.run("b" * 32) == tx.models.imported_run("other", "a" * 32) == renamed
        with pytest.raises(NotFound) as caught:
            tx.models.imported_run("other", "b" * 32)
        assert caught.value.where == {"kind": "run", "name": "b" * 32}


def test_no_such_run(store: Registry) -> None:
    for name in ("absent", ""):
        with store.transaction() as tx, pytest.raises(NotFound) as caught:
            tx.models.run(name)
        assert caught.value.where == {"kind": "run", "name": name}


def test_logged_models(store: Registry) -> None:
    for run_id in ("a" * 32, "b" * 32):
        store.add_run(RunInfo(run_id, "5", "", "", {}))
    store.add_logged_model("a" * 32, "model", "mlflow-artifacts:/first")
    store.add_logged_model("a" * 32, "model", "mlflow-artifacts:/last")
    store.add_logged_model("a" * 32, "another", "mlflow-artifacts:/another")
    with store.transaction() as tx:
        assert tx.models.logged_model_uri("a" * 32, "model") == "mlflow-artifacts:/last"
        assert tx.models.logged_model_uri("a" * 32, "another") == "mlflow-artifacts:/another"
        assert tx.models.logged_model_uri("a" * 32, "absent") is None
        assert tx.models.logged_model_uri("b" * 32, "model") is None
        assert tx.models.logged_model_uri("absent", "model") is None


def test_experiments(store: Registry) -> None:
    store.add_experiment("made here")
    store.add_experiment("of dev", ["dev"])
    store.add_experiment("of both", ["dev", "other"])
    names = ("absent", "made here", "of dev", "of both")
    with store.transaction() as tx:
        open_to = {
            workspace: [name for name in names if tx.models.experiment_is_open_to(workspace, name)]
            for workspace in ("dev", "other")
        }
    assert open_to == {"dev": ["absent", "of dev"], "other": ["absent"]}
