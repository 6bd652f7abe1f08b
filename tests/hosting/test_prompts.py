"""Prompts over MLflow's API: no tag makes one of a model, and none changes one that an export brought."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client

from service.exports.prompts import RESERVED
from tests.conftest import export
from tests.hosting.registering import MLMODEL, Hosted
from tests.small_exports import packed, prompt

IS_PROMPT, TEXT, _ = RESERVED
IMPORTS = "/v1/workspaces/dev/imports"


@pytest.fixture
def registry(hosted: Callable[..., Client]) -> Hosted:
    return Hosted(hosted("track"))


@pytest.fixture
def imported(client: FlaskClient, run_imports: Callable[[], int]) -> Callable[[bytes], str]:
    """The state of an import of the export."""
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})

    def imported(data: bytes) -> str:
        address = client.post(IMPORTS, data=data).headers["Location"]
        run_imports()
        return str(client.get(address).json["state"])

    return imported


@pytest.mark.parametrize("key", RESERVED)
def test_a_tag_that_tells_prompts_is_refused(registry: Hosted, key: str) -> None:
    run = registry.run("one", MLmodel=MLMODEL)
    registry.register("orders", run)
    tag, of_version = {"name": "orders", "key": key}, {"name": "orders", "version": "1", "key": key}
    tags = [{"key": key, "value": "x"}]
    for refused in (
        registry.post("registered-models/set-tag", **tag, value="true"),
        registry.delete("registered-models/delete-tag", **tag),
        registry.post("registered-models/create", name="others", tags=tags),
        registry.post("model-versions/set-tag", **of_version, value="true"),
        registry.delete("model-versions/delete-tag", **of_version),
        registry.post("model-versions/create", name="orders", source=f"runs:/{run}/model", run_id=run, tags=tags),
    ):
        assert (refused.status_code, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), refused.text
        assert key in refused.json["message"]
    assert [row["name"] for row in registry.get("registered-models/search").json["registered_models"]] == ["orders"]
    assert registry.register("orders", run)["version"] == "2"


def test_a_workspace_goes_on_importing(registry: Hosted, imported: Callable[[bytes], str]) -> None:
    assert imported(export("mlflow317-master-model-dummy")) == "done"
    tag = {"name": "dummy-model", "key": IS_PROMPT, "value": "true"}
    assert registry.post("registered-models/set-tag", **tag).status_code == 400
    assert imported(export("mlflow222-tool120-model-dummy")) == "done"


def test_a_prompt_stays_as_it_was_imported(registry: Hosted, imported: Callable[[bytes], str]) -> None:
    assert imported(packed({"p/prompt.json": prompt()})) == "done"
    version = {"name": "greeting", "version": "1"}
    before = registry.get("model-versions/get", **version).json
    changed = registry.post("model-versions/set-tag", **version, key=TEXT, value="other")
    undone = registry.delete("registered-models/delete-tag", name="greeting", key=IS_PROMPT)
    assert (changed.status_code, undone.status_code) == (400, 400)
    assert registry.post("registered-models/set-tag", name="greeting", key="team", value="a").status_code == 200
    assert registry.get("model-versions/get", **version).json == before
