"""Names here for names there, and what a later export changes of models and versions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from service.domain.errors import Conflict
from service.usecases.model_ports import ModelDetails, Origin, VersionOrigin
from tests.contract.registries import Registry
from tests.contract.samples import exported, workspace


@pytest.fixture
def store(store: Registry) -> Registry:
    with store.transaction() as tx:
        tx.workspaces.put(workspace())
        tx.workspaces.put(workspace("other"))
    return store


def origin(workspace: str, original_id: str, id: str, name: str, **lineage: Any) -> Origin:
    return Origin(workspace, original_id, id, name, str(uuid.uuid4()), lineage)


def test_experiments(store: Registry) -> None:
    first = origin("dev", "7", "101", "dev/a", original_name="a", exported_at=1)
    second = origin("dev", "7", "102", "dev/b", original_name="b")
    theirs = origin("other", "7", "103", "other/a", original_name="a")
    for one in (first, second, theirs):
        store.add_experiment_origin(one)
    with store.transaction() as tx:
        assert tx.origins.experiments("dev", "7") == [first, second]
        assert tx.origins.experiments("other", "7") == [theirs]
        assert tx.origins.of_experiment("102") == [second]
        for absent in ("7", "104", "", "x", "1" * 40, "１０２", "-1"):
            assert tx.origins.of_experiment(absent) == []
        assert tx.origins.experiments("dev", "8") == []


def test_logged_models(store: Registry) -> None:
    kept, derived = origin("dev", "m-1", "m-1", "model", a=1), origin("other", "m-1", "m-2", "model")
    store.add_logged_model_origin(kept)
    store.add_logged_model_origin(derived)
    with store.transaction() as tx:
        assert tx.origins.logged_models("dev", "m-1") == [kept]
        assert tx.origins.logged_models("other", "m-1") == [derived]
        assert tx.origins.of_logged_model("m-2") == [derived]
        assert tx.origins.of_logged_model("m-3") == []
        assert tx.origins.logged_models("dev", "m-2") == []


def test_models_and_versions(store: Registry) -> None:
    lineage = {"original_model": "iris", "import_id": "i"}
    with store.transaction() as tx:
        assert tx.models.own("dev-iris", "dev", 5) is True
        assert tx.models.own("dev-iris", "dev", 6) is False
        with pytest.raises(Conflict):
            tx.models.own("dev-iris", "other", 5)
        tx.models.set_details("dev-iris", ModelDetails("", {}, {}, lineage=lineage))
        versions = [tx.models.add_version(exported({"iris": 3}, content, model="dev-iris")) for content in "ab"]
    with store.transaction() as tx:
        assert tx.origins.models("dev", "iris") == [Origin("dev", "iris", "dev-iris", "dev-iris", "i", lineage)]
        assert tx.origins.models("other", "iris") == []
        assert tx.origins.versions("dev", "iris", "3") == [
            VersionOrigin("dev", "iris", "3", "dev-iris", version.version, version.digest) for version in versions
        ]
        assert tx.origins.versions("dev", "iris", "4") == []


def test_details_tell_whether_they_changed(store: Registry) -> None:
    def put(description: str, exported_at: int | None, **tags: str) -> bool:
        with store.transaction() as tx:
            details = ModelDetails(description, tags, {}, lineage={"exported_at": exported_at})
            return tx.models.set_details("iris", details)

    with store.transaction() as tx:
        tx.models.own("iris", "dev", 5)
    assert put("one", 10, a="1") is True
    assert put("one", 10, a="1") is False
    assert put("two", 9, a="0") is False, "an older export"
    assert put("", None) is False, "nothing to say"
    assert put("one", 11, a="2") is True
    with store.transaction() as tx:
        model = tx.models.get("iris")
    assert (model.description, model.tags) == ("one", {"a": "2"})


def test_times_and_a_status_are_changes_too(store: Registry) -> None:
    with store.transaction() as tx:
        tx.models.own("iris", "dev", 5)
        added = tx.models.add_version(exported({"iris": 1}, creation_time=5, lineage={"original_stage": "Staging"}))
        details = [(None, None), (5, 5), (4, None), (4, 4), (None, 6), (7, 6)]
        told = [tx.models.set_details("iris", ModelDetails("", {}, {}, first, last)) for first, last in details]
    assert told == [False, False, True, False, True, False]
    versions: list[dict[str, Any]] = [
        {"last_updated_time": 5},
        {"last_updated_time": 6},
        {"last_updated_time": 5},
        {"status": "FAILED_REGISTRATION"},
        {"status": "FAILED_REGISTRATION"},
    ]
    with store.transaction() as tx:
        told = [tx.models.update_version(added, exported({"iris": 1}, **said)) for said in versions]
        assert tx.models.version("iris", 1).lineage.original_stage == "Staging", "of which none of them spoke"
    assert told == [False, True, False, True, False]


def test_a_version_is_updated(store: Registry) -> None:
    def said(stage: str, exported_at: int) -> dict[str, Any]:
        return {"original_stage": stage, "exported_at": exported_at}

    with store.transaction() as tx:
        added = tx.models.add_version(exported({"iris": 1}, description="one", lineage=said("None", 10)))
    cases = [
        (exported({"iris": 1}, description="one", lineage=said("None", 10)), False),
        (exported({"iris": 1}, description="two", lineage=said("None", 10)), True),
        (exported({"iris": 1}, description="two", lineage=said("Production", 11)), True),
        (exported({"iris": 1}, description="old", lineage=said("Staging", 10)), False),
        (exported({"iris": 1}, description="two", tags={"a": "1"}, lineage=said("Production", 11)), True),
        (exported({"iris": 1}, description="two", tags={"a": "1"}, lineage=said("Production", 11)), False),
    ]
    for number, (new, changed) in enumerate(cases):
        with store.transaction() as tx:
            known = tx.models.version("iris", added.version)
            assert tx.models.update_version(known, new) is changed, number
    with store.transaction() as tx:
        version = tx.models.version("iris", added.version)
    assert (version.description, version.lineage.original_stage, version.digest) == ("two", "Production", added.digest)
