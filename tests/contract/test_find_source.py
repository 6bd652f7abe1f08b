"""The run that a new version is of: policies look at what it measured, so that none can be borrowed."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from service.domain.errors import InvalidInput, NotFound
from service.domain.identity import OPERATOR, TRACK, Principal, Scope
from service.domain.layout import version_uri
from service.stores.memory import MemoryObjects
from service.usecases import register_version
from service.usecases.find_source import Found, files_in, find_source
from service.usecases.model_ports import RunInfo
from tests.contract.registries import Registry
from tests.contract.samples import fill, manifest, new_version

OWN, GOOD, IMPORTED = "0" * 32, "1" * 32, "3" * 32
LOGGED = "m-" + "2" * 32
PLACE = "mlflow-artifacts:/7"


@pytest.fixture(autouse=True)
def _made(store: Registry) -> None:
    """A run with a version and a logged model, another run, and a version without one."""
    fill(store)
    for run in (OWN, GOOD):
        store.add_run(RunInfo(run, "7", "", f"{PLACE}/{run}/artifacts", {}))
    store.add_logged_model(OWN, "model", f"mlflow-artifacts:/workspaces/dev/models/{LOGGED}/artifacts")
    with store.transaction() as tx:
        tx.models.add_version(new_version(run_id=OWN))
        tx.models.add_version(new_version(run_id="", content="b"))


def found(store: Registry, source: str, run_id: str = "", model_id: str = "", by: Principal = OPERATOR) -> Found:
    with store.transaction() as tx:
        return find_source(tx, by, source, run_id, model_id)


DIGEST = version_uri(manifest("a").digest)
IN_RUN = f"{PLACE}/{OWN}/artifacts/model"
IN_LOGGED = f"mlflow-artifacts:/workspaces/dev/models/{LOGGED}/artifacts"


@pytest.mark.parametrize("source", [f"runs:/{OWN}/model", f"models:/{LOGGED}", "models:/iris/1"])
def test_the_run_is_that_of_the_source(store: Registry, source: str) -> None:
    for run_id in ("", OWN):
        assert found(store, source, run_id).run_id == OWN
    for run_id in (GOOD, "absent"):
        with pytest.raises(InvalidInput) as caught:
            found(store, source, run_id)
        assert caught.value.where == {"field": "run_id"}


def test_a_version_without_a_run_gets_none(store: Registry) -> None:
    assert found(store, "models:/iris/2").run_id == ""
    with pytest.raises(InvalidInput):
        found(store, "models:/iris/2", GOOD)


def test_bytes_are_of_a_run_that_made_a_version_of_them(store: Registry) -> None:
    assert found(store, DIGEST, OWN).run_id == OWN
    assert found(store, DIGEST).run_id == ""
    for run_id in (GOOD, "absent"):
        with pytest.raises(InvalidInput) as caught:
            found(store, DIGEST, run_id)
        assert caught.value.where == {"field": "run_id"}
    store.remove_version("iris", 1)
    with pytest.raises(InvalidInput):
        found(store, DIGEST, OWN)


def test_a_folder_is_of_the_one_that_is_named(store: Registry) -> None:
    assert found(store, IN_RUN, OWN).run_id == OWN
    assert found(store, IN_LOGGED, OWN, LOGGED).run_id == OWN
    for source, run_id, model_id in (
        (IN_RUN, GOOD, ""),
        (IN_LOGGED, GOOD, LOGGED),
        (IN_RUN, OWN, LOGGED),
        (f"models:/{LOGGED}", OWN, "m-other"),
    ):
        with pytest.raises(InvalidInput):
            found(store, source, run_id, model_id)
    with pytest.raises(NotFound):
        found(store, IN_RUN, "absent")


def test_a_folder_is_of_some_run_or_logged_model(store: Registry) -> None:
    for source in (IN_RUN, IN_RUN.removesuffix("/model"), IN_LOGGED):
        assert found(store, source).run_id == ""
    for path in ("workspaces", "workspaces/dev", "7", f"7/{OWN}", f"7/{'3' * 32}/artifacts", f"8/{OWN}/artifacts"):
        with pytest.raises(InvalidInput) as caught:
            found(store, f"mlflow-artifacts:/{path}")
        assert caught.value.where == {"field": "source"}


def test_the_folder_of_a_run_that_is_elsewhere(store: Registry) -> None:
    elsewhere = "4" * 32
    store.add_run(RunInfo(elsewhere, "7", "", f"s3://other/{elsewhere}/artifacts", {}))
    for run_id in ("", elsewhere):
        with pytest.raises(InvalidInput):
            found(store, f"{PLACE}/{elsewhere}/artifacts", run_id)


def test_no_more_files_are_listed_than_a_version_may_have(store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_version, "MAX_FILES", 2)
    objects = MemoryObjects()
    source = replace(found(store, IN_RUN), lineage={})
    for name in ("a", "b"):
        objects.put(f"{source.folders[0]}{name}", io.BytesIO(b""), 0)
    assert len(files_in(objects, source)[1]) == 2
    objects.put(f"{source.folders[0]}c", io.BytesIO(b""), 0)
    with pytest.raises(InvalidInput, match="more than 2 files"):
        files_in(objects, source)


@pytest.mark.parametrize("source", [f"runs:/{IMPORTED}/model", f"{PLACE}/{IMPORTED}/artifacts/model"])
def test_only_who_may_import_from_a_workspace_vouches_for_it(store: Registry, source: str) -> None:
    said = {"workspace": "dev", "import_id": "1", "archive_digest": "sha256:2", "experiment": "iris"}
    store.add_run(RunInfo(IMPORTED, "7", "dev", f"{PLACE}/{IMPORTED}/artifacts", said))
    for scope, told in ((Scope("import", "dev"), said), (Scope("import", "lab"), {"experiment": "iris"})):
        lineage = found(store, source, IMPORTED, by=Principal("1", "ci", (TRACK, scope))).lineage
        assert {name: lineage[name] for name in said if name in lineage} == told
