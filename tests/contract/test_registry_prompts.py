"""Prompts of every registry: numbered, known again, and never a model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.domain.errors import Conflict, NotFound
from service.exports.prompts import RESERVED, read_prompt
from service.usecases.model_ports import ModelDetails, NewPrompt, PromptVersion
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, fill, new_import, new_version, workspace
from tests.small_exports import prompt


@pytest.fixture
def import_id(store: Registry) -> str:
    fill(store, "a")
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))
        return tx.imports.add(new_import(), None).id


def new(
    import_id: str, version: int = 1, *, name: str = "greeting", workspace: str = "dev", **fields: Any
) -> NewPrompt:
    return NewPrompt(name, workspace, import_id, read_prompt(prompt(version, **fields), "prompt.json"))


def add(store: Registry, wanted: NewPrompt) -> PromptVersion:
    with store.transaction() as tx:
        return tx.models.add_prompt(wanted)


def test_versions_keep_their_numbers_where_free(store: Registry, import_id: str) -> None:
    assert add(store, new(import_id, 3)) == PromptVersion("greeting", 3, "created")
    assert add(store, new(import_id, 1)) == PromptVersion("greeting", 1, "created")
    assert add(store, new(import_id, 1, template="other")) == PromptVersion("greeting", 4, "created")
    assert add(store, new(import_id, 1, name="copy")) == PromptVersion("copy", 1, "created")


def test_the_same_version_again(store: Registry, import_id: str) -> None:
    add(store, new(import_id))
    assert add(store, new(import_id)) == PromptVersion("greeting", 1, "skipped")
    assert add(store, new(import_id, tags={"lang": "de", "new": ""})) == PromptVersion("greeting", 1, "updated")
    assert add(store, new(import_id, tags={"lang": "de"})) == PromptVersion("greeting", 1, "skipped")


@pytest.mark.parametrize("whose", ["dev", "other", ""])
def test_a_prompt_is_nobody_s_model(store: Registry, import_id: str, whose: str) -> None:
    add(store, new(import_id))
    store.add_mlflow_model("theirs")
    with store.transaction() as tx:
        tx.models.set_details("theirs", ModelDetails("", {"mlflow.prompt.is_prompt": "true"}, {}))
    for name in ("greeting", "theirs"):
        with pytest.raises(Conflict) as caught, store.transaction() as tx:
            tx.models.own(name, whose, None)
        assert caught.value.where == {"field": "model_name"}
        with store.transaction() as tx:
            assert tx.models.is_prompt(name)
            assert [model.name for model in tx.models.list()] == ["iris"]


def test_names_are_shared_with_models(store: Registry, import_id: str) -> None:
    add(store, new(import_id))
    for name in ("greeting", "iris"):
        with store.transaction() as tx:
            assert tx.models.owner(name) == "dev"
            assert tx.models.is_prompt(name) is (name == "greeting")
    for wanted in (new(import_id, workspace="other"), new(import_id, name="iris")):
        with pytest.raises(Conflict) as caught:
            add(store, wanted)
        assert caught.value.where == {"field": "model_prefix"}
    store.add_mlflow_model("theirs")
    with pytest.raises(Conflict):
        add(store, new(import_id, name="theirs"))
    for owner in ("dev", "other", ""):
        with store.transaction() as tx, pytest.raises(Conflict) as caught:
            tx.models.add_version(new_version("greeting", owner))
        assert caught.value.where == {"field": "model_name"}


def test_no_tag_makes_a_prompt_of_a_model(store: Registry, import_id: str) -> None:
    store.add_mlflow_model("theirs")
    with store.transaction() as tx:
        for name in ("iris", "theirs"):
            assert tx.models.set_details(name, ModelDetails("", {RESERVED[0]: "true"}, {}))
    with store.transaction() as tx:
        assert (tx.models.is_prompt("iris"), tx.models.is_prompt("theirs")) == (False, True)
        assert tx.models.owner("iris") == "dev"
    with store.transaction() as tx:
        tx.models.delete("iris", "test", datetime.now(UTC))
    with store.transaction() as tx:
        assert not tx.models.is_prompt("iris")


def test_a_prompt_is_no_model(store: Registry, import_id: str) -> None:
    add(store, new(import_id))
    with store.transaction() as tx:
        assert [model.name for model in tx.models.list()] == ["iris"]
        with pytest.raises(NotFound):
            tx.models.get("greeting")
        with pytest.raises(NotFound):
            tx.models.version("greeting", 1)
    with store.transaction() as tx, pytest.raises(NotFound):
        assign(tx, assignment(1, model="greeting"))
    with store.transaction() as tx, pytest.raises(NotFound):
        tx.stages.current("prod", "greeting", "Production")
