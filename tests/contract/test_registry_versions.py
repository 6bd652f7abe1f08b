"""Versions of every registry: what is written, under which number, and whose name it is."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.errors import Conflict, NotFound
from service.domain.model import Lineage, ModelVersion, RegisteredModel
from service.usecases.model_ports import NewVersion
from tests.contract.registries import Registry
from tests.contract.samples import exported, fill, manifest, new_version, workspace


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


def owner(store: Registry, name: str) -> str | None:
    with store.transaction() as tx:
        return tx.models.owner(name)


# --- what is written


def test_a_version_holds_what_was_registered(store: Registry) -> None:
    lineage: dict[str, Any] = {
        "workspace": "dev",
        "original_run_id": "r-1",
        "run_start_time": 2**40,
        "source": {"tags": {"a": [1, None]}},
        "of a later release": "left out",
    }
    new = new_version(
        "Größe é",
        description="text",
        flavors={"sklearn": {"version": 1.5, "list": [True, None, "x"]}},
        signature={"inputs": "[]"},
        lineage=lineage,
    )
    added = add(store, new)
    assert added == ModelVersion(
        model="Größe é",
        version=1,
        digest=manifest().digest,
        size=manifest().size,
        run_id="run-1",
        description="text",
        created_by="ci",
        created_at=added.created_at,
        flavors={"sklearn": {"version": 1.5, "list": [True, None, "x"]}},
        signature={"inputs": "[]"},
        lineage=Lineage(workspace="dev", original_run_id="r-1", run_start_time=2**40, source=lineage["source"]),
    )
    with store.transaction() as tx:
        assert tx.models.version("Größe é", 1) == added


def test_a_version_without_signature_and_run(store: Registry) -> None:
    added = add(store, new_version(signature=None, run_id="", flavors={}, lineage={}))
    assert (added.signature, added.run_id, added.flavors, added.lineage) == (None, "", {}, Lineage())
    with store.transaction() as tx:
        assert tx.models.version("iris", 1) == added


def test_odd_texts_of_an_mlmodel_are_kept_as_far_as_they_can_be(store: Registry) -> None:
    odd = {"nul\x00": "a\x00b", "half": "\ud800c", "backslash": "\\u0000", "nan": float("nan"), "tuple": (1,), 7: "n"}
    added = add(store, new_version(flavors=odd, signature={"inf": float("inf")}))
    assert added.flavors == {
        "nul": "ab",
        "half": "c",
        "backslash": "\\u0000",
        "nan": "NaN",
        "tuple": [1],
        "7": "n",
    }
    assert added.signature == {"inf": "Infinity"}
    with store.transaction() as tx:
        assert tx.models.version("iris", 1) == added


def test_the_first_version_creates_the_model(store: Registry) -> None:
    with store.transaction() as tx:
        assert tx.models.owner("iris") is None
        tx.models.add_version(new_version())
        model = tx.models.get("iris")
    assert model == RegisteredModel("iris", "dev", "", {}, {}, model.created_at, (1,))
    assert get(store, "iris") == model
    assert owner(store, "iris") == "dev"


def test_a_model_of_the_registry_s_own(store: Registry) -> None:
    assert add(store, new_version(workspace="")).version == 1
    assert get(store, "iris").workspace == ""
    assert owner(store, "iris") == ""
    assert add(store, new_version(workspace="", content="b")).version == 2


# --- numbers


def test_versions_are_numbered(store: Registry) -> None:
    assert [add(store, new_version(content=content)).version for content in "abc"] == [1, 2, 3]
    assert add(store, new_version("another")).version == 1
    assert get(store, "iris").versions == (1, 2, 3)


def test_the_same_bytes_may_be_registered_again(store: Registry) -> None:
    first, second = add(store, new_version()), add(store, new_version())
    assert (first.version, second.version) == (1, 2)
    assert first.digest == second.digest


def test_a_number_is_kept_when_it_is_free(store: Registry) -> None:
    assert add(store, exported({"iris": 7})).version == 7
    assert add(store, exported({"iris": 3}, "b")).version == 3
    assert add(store, new_version(content="c")).version == 8
    assert get(store, "iris").versions == (3, 7, 8)


def test_a_taken_number_gives_the_next_after_the_highest(store: Registry) -> None:
    add(store, exported({"iris": 2}))
    add(store, exported({"iris": 9}, "b"))
    assert add(store, exported({"iris": 2}, "other bytes")).version == 10
    assert add(store, exported({"elsewhere": 2}, "b", model="iris")).version == 11


def test_a_number_that_only_mlflow_knows_is_taken(store: Registry) -> None:
    store.add_mlflow_model("iris", [1, 4])
    assert add(store, exported({"iris": 4}, workspace="")).version == 5
    assert add(store, exported({"iris": 3}, "b", workspace="")).version == 3
    assert add(store, new_version(content="c", workspace="")).version == 6


def test_the_same_original_with_the_same_bytes_is_the_same_version(store: Registry) -> None:
    first = add(store, exported({"iris": 7}))
    assert add(store, exported({"iris": 7}, description="changed", created_by="someone")) == first
    assert get(store, "iris").versions == (7,)


def test_each_difference_makes_a_version(store: Registry) -> None:
    add(store, exported({"iris": 1}))
    differences = [
        exported({"iris": 1}, "other bytes"),
        exported({"iris": 2}),
        exported({"renamed": 1}, model="iris"),
        new_version(),
    ]
    assert [add(store, new).version for new in differences] == [2, 3, 4, 5]
    assert [add(store, new).version for new in differences[:3]] == [2, 3, 4]
    assert add(store, exported({"iris": 1}, model="another")).version == 1


# --- whose name it is


@pytest.mark.parametrize(("first", "second"), [("dev", "other"), ("dev", ""), ("", "dev")])
def test_a_name_belongs_to_its_first_workspace(store: Registry, first: str, second: str) -> None:
    add(store, exported({"iris": 1}, workspace=first))
    for content in ("a", "b"):
        with pytest.raises(Conflict) as caught:
            add(store, exported({"iris": 1}, content, workspace=second))
        assert caught.value.where == {"field": "model_name"}
    assert owner(store, "iris") == first
    assert get(store, "iris").versions == (1,)


def test_a_name_that_only_mlflow_knows_is_the_registry_s_own(store: Registry) -> None:
    store.add_mlflow_model("iris")
    assert owner(store, "iris") == ""
    with pytest.raises(NotFound):
        get(store, "iris")
    with pytest.raises(Conflict):
        add(store, new_version(workspace="dev"))
    assert owner(store, "iris") == ""
    assert add(store, new_version(workspace="")).version == 1
    assert get(store, "iris").workspace == ""


def test_names_are_told_apart_by_case(store: Registry) -> None:
    add(store, new_version("iris"))
    assert add(store, new_version("Iris", "other")).version == 1
    assert owner(store, "Iris") == "other"


def test_a_version_needs_its_workspace(store: Registry) -> None:
    with pytest.raises(Conflict):
        add(store, new_version(workspace="absent"))
    assert owner(store, "iris") is None
