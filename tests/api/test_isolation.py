"""One workspace can neither overwrite nor extend what another one imported, by any way in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.stores import central_ids
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.wiring import Parts
from tests.api.conftest import OTHER_RUN, Send, bearer, model_of
from tests.api.problems import problem
from tests.small_exports import LOGGED, MLMODEL, RUN, Document, experiment, logged_model, registered_model, run, version

OWN = "mlflow-artifacts:/workspaces/dev"


def of_dev() -> dict[str, bytes | Document]:
    dataset = {"dataset": {"name": "iris", "digest": "d", "source": "dev"}, "tags": []}
    return {
        "experiment.json": experiment(tags={"of": "dev"}),
        "model.json": registered_model(
            version(description="dev's", tags={"of": "dev"}),
            version("2", source=f"models:/{LOGGED}"),
            description="dev's",
            tags=[{"key": "of", "value": "dev"}],
            aliases=[{"alias": "champion", "version": "1"}],
        ),
        **model_of(RUN),
        f"{RUN}/run.json": run(
            inputs={"dataset_inputs": [dataset], "model_inputs": []},
            outputs={"model_outputs": [{"model_id": LOGGED, "step": 0}]},
            tags={"of": "dev"},
        ),
        f"{LOGGED}/logged_model.json": logged_model(tags={"of": "dev"}),
        f"{LOGGED}/artifacts/MLmodel": MLMODEL,
    }


def of_other() -> dict[str, bytes | Document]:
    """The same experiment, run, model and logged model by name and id, with other content."""
    dataset = {"dataset": {"name": "iris", "digest": "d", "source": "other"}, "tags": []}
    points = [{"value": 9.0, "timestamp": 9, "step": 9}]
    return {
        "experiment.json": experiment(tags={"of": "other"}),
        "model.json": registered_model(
            version(description="other's", tags={"of": "other"}),
            version("3", source=f"models:/{LOGGED}"),
            description="other's",
            tags=[{"key": "of", "value": "other"}],
            aliases=[{"alias": "champion", "version": "3"}],
        ),
        **model_of(RUN, b"other's bytes"),
        f"{RUN}/run.json": run(
            inputs={"dataset_inputs": [dataset], "model_inputs": [{"model_id": LOGGED}]},
            outputs={"model_outputs": [{"model_id": LOGGED, "step": 1}]},
            tags={"of": "other"},
            metrics={"loss": points},
        ),
        f"{RUN}/artifacts/new.txt": b"new",
        f"{LOGGED}/logged_model.json": logged_model(tags={"of": "other"}, metrics=[]),
        f"{LOGGED}/artifacts/MLmodel": MLMODEL + b"# other's",
        f"{LOGGED}/artifacts/new.txt": b"new",
    }


@pytest.fixture
def dev_s(send: Send, engine: sa.Engine, parts: Parts) -> Iterator[Callable[[], dict[str, Any]]]:
    """What dev imported: every row of it and every object, the same at the end as at the beginning."""
    send(of_dev())

    def snapshot() -> dict[str, Any]:
        return _rows(engine) | {info.key: info.etag for info in parts.objects.list("mlflow/workspaces/dev/")}

    before = snapshot()
    yield snapshot
    assert snapshot() == before


def _rows(engine: sa.Engine) -> dict[str, Any]:
    """The rows of dev's experiment, run, logged model and model, by table."""
    wanted: list[tuple[sa.TableClause, str, Any]] = [
        (m.experiments, "name", "dev//Shared/orders"),
        (m.runs, "run_uuid", RUN),
        (m.tags, "run_uuid", RUN),
        (m.params, "run_uuid", RUN),
        (m.metrics, "run_uuid", RUN),
        (m.latest_metrics, "run_uuid", RUN),
        (m.inputs, "destination_id", RUN),
        (m.inputs, "source_id", RUN),
        (m.inputs, "destination_id", LOGGED),
        (m.logged_models, "model_id", LOGGED),
        (m.logged_model_tags, "model_id", LOGGED),
        (m.registered_models, "name", "orders"),
        (m.registered_model_tags, "name", "orders"),
        (m.registered_model_aliases, "name", "orders"),
        (m.model_versions, "name", "orders"),
        (m.model_version_tags, "name", "orders"),
        (t.runs, "workspace", "dev"),
        (t.experiments, "workspace", "dev"),
        (t.logged_models, "workspace", "dev"),
        (t.versions, "model", "orders"),
    ]
    found: dict[str, Any] = {}
    with engine.connect() as connection:
        for table, column, value in wanted:
            rows = connection.execute(sa.select(table).where(table.c[column] == value)).all()
            found[f"{table.name}.{column}.{value}"] = sorted(map(str, rows))
        own = sa.select(m.experiments.c.experiment_id).where(m.experiments.c.artifact_location == OWN)
        for table in (m.runs, m.datasets, m.experiment_tags, m.logged_models):
            inside = connection.execute(sa.select(table).where(table.c.experiment_id.in_(own))).all()
            found[f"{table.name} in dev's experiments"] = sorted(map(str, inside))
    return found


def test_the_same_ids_and_names_in_two_workspaces(
    send: Send, places: FlaskClient, dev_s: Callable[[], dict[str, Any]], parts: Parts
) -> None:
    """Everything of the second gets ids and places of its own, which can be asked for from both sides."""
    report = send(of_other(), "other", model_prefix="other-")
    assert report["experiments"][0]["name"] == "other//Shared/orders"
    assert report["models"] == [{"original_name": "orders", "name": "other-orders"}]
    theirs = places.get(f"/v1/workspaces/other/runs/{RUN}").get_json()
    assert theirs["run_id"] != RUN
    assert places.get(f"/v1/runs/{theirs['run_id']}").get_json()["lineage"]["original_run_id"] == RUN
    (model,) = places.get(f"/v1/workspaces/other/logged-models/{LOGGED}").get_json()["origins"]
    assert model["id"] != LOGGED
    assert places.get(f"/v1/logged-models/{model['id']}").get_json()["origins"] == [model]
    (experiment_,) = places.get("/v1/workspaces/other/experiments/7").get_json()["origins"]
    assert places.get(f"/v1/experiments/{experiment_['id']}").get_json()["origins"] == [experiment_]
    (third,) = places.get("/v1/workspaces/other/models/orders/versions/3").get_json()["origins"]
    assert (third["model"], third["version"]) == ("other-orders", 3)
    lineage = places.get("/v1/models/other-orders/versions/3").get_json()["lineage"]
    assert (lineage["workspace"], lineage["original_model"], lineage["original_version"]) == ("other", "orders", "3")
    root = f"mlflow/workspaces/other/{theirs['run_id']}/artifacts/new.txt"
    assert parts.objects.stat(root).size == 3
    assert not [key for key in dev_s() if key.endswith("new.txt")]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "model_name"),
        ({"experiment_name": "dev//Shared/orders", "model_prefix": "o-"}, "experiment_name"),
        ({"experiment_name": "dev/new", "model_prefix": "o-"}, "experiment_name"),
        ({"model_name": "orders"}, "model_name"),
        ({"model_prefix": "ord", "model_name": "ers"}, "model_name"),
        ({"register": "model", "model_name": "orders", "model_prefix": ""}, "model_name"),
    ],
)
def test_names_of_another_workspace(
    send: Send, dev_s: Callable[[], dict[str, Any]], options: dict[str, str], field: str
) -> None:
    refused = send(of_other(), "other", **options)
    assert (refused["type"], refused["field"]) == ("urn:model-registry:problem:conflict", field)


def test_a_model_without_versions_does_not_open_another_s(send: Send, dev_s: Callable[[], dict[str, Any]]) -> None:
    document = registered_model(description="mine", aliases=[{"alias": "champion", "version": "2"}])
    document["mlflow"]["registered_model"]["versions"] = []
    assert send({"model.json": document}, "other")["field"] == "model_name"


def test_a_prefix_of_another_workspace_is_kept_for_it(send: Send, places: FlaskClient) -> None:
    """Also before that one has anything of the name."""
    refused = send({f"{RUN}/run.json": run()}, "other", experiment_name="dev/orders")
    assert (refused["type"], refused["field"]) == ("urn:model-registry:problem:conflict", "experiment_name")
    assert "experiments" in send({f"{RUN}/run.json": run()}, "other", experiment_name="elsewhere/orders")


def test_an_experiment_that_was_made_here_belongs_to_nobody(
    send: Send, engine: sa.Engine, dev_s: Callable[[], dict[str, Any]]
) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.insert(m.experiments).values(
                name="other//Shared/orders", workspace=m.WORKSPACE, artifact_location=OWN, lifecycle_stage="active"
            )
        )
    before = _rows(engine)
    assert send(of_other(), "other", model_prefix="o-")["field"] == "experiment_name"
    assert _rows(engine) == before
    with engine.begin() as connection:
        connection.execute(sa.delete(m.experiments).where(m.experiments.c.name == "other//Shared/orders"))


def test_a_parent_of_another_workspace(send: Send, engine: sa.Engine, dev_s: Callable[[], dict[str, Any]]) -> None:
    """A child that names dev's run as its parent does not become its child."""
    names = {"mlflow.parentRunId": RUN, "mlflow.rootRunId": RUN}
    report = send({f"{OTHER_RUN}/run.json": run(OTHER_RUN, tags=names)}, "other")
    assert [row["name"] for row in report["incomplete"]] == [OTHER_RUN]
    with engine.connect() as connection:
        values = set(connection.scalars(sa.select(m.tags.c.value).where(m.tags.c.run_uuid == OTHER_RUN)))
    assert len(values) == 1
    assert RUN not in values


def test_a_child_follows_its_parent_to_the_id_it_gets(send: Send, engine: sa.Engine, places: FlaskClient) -> None:
    """The child came first, when the parent's id was free; then another workspace took it."""
    names = {"mlflow.parentRunId": RUN, "mlflow.rootRunId": RUN}
    send({f"{OTHER_RUN}/run.json": run(OTHER_RUN, tags=names)})
    send({f"{RUN}/run.json": run()}, "other")
    send({f"{RUN}/run.json": run()})
    parent = places.get(f"/v1/workspaces/dev/runs/{RUN}").get_json()["run_id"]
    assert parent != RUN
    with engine.connect() as connection:
        values = set(connection.scalars(sa.select(m.tags.c.value).where(m.tags.c.run_uuid == OTHER_RUN)))
    assert values == {parent}


def test_an_id_that_can_be_foretold_and_was_taken(send: Send, places: FlaskClient) -> None:
    """The id that dev's run would get is taken beforehand: the import takes the next one."""
    foretold = uuid.uuid5(central_ids._NAMESPACE, f"dev\n{RUN}").hex
    send({f"{RUN}/run.json": run(), f"{foretold}/run.json": run(foretold)}, "other")
    assert send({f"{RUN}/run.json": run()})["counts"]["runs"]["created"] == 1
    assert places.get(f"/v1/workspaces/dev/runs/{RUN}").get_json()["run_id"] not in (RUN, foretold)


def test_history_of_models_follows_the_run(send: Send, engine: sa.Engine, places: FlaskClient) -> None:
    history = '[{"run_id": "%s", "artifact_path": "model"}]'
    send(of_dev())
    send({f"{RUN}/run.json": run(tags={"mlflow.log-model.history": history % RUN})}, "other")
    run_id = places.get(f"/v1/workspaces/other/runs/{RUN}").get_json()["run_id"]
    with engine.connect() as connection:
        value = connection.scalar(sa.select(m.tags.c.value).where(m.tags.c.run_uuid == run_id))
    assert value == history % run_id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/runs/{RUN}"),
        ("GET", f"/v1/workspaces/dev/runs/{RUN}"),
        ("GET", f"/v1/logged-models/{LOGGED}"),
        ("GET", f"/v1/workspaces/dev/logged-models/{LOGGED}"),
        ("GET", "/v1/workspaces/dev/experiments/7"),
        ("GET", "/v1/workspaces/dev/models/orders"),
        ("GET", "/v1/workspaces/dev/models/orders/versions/1"),
        ("POST", "/v1/workspaces/dev/imports"),
        ("POST", "/v1/models/mine/versions"),
        ("POST", "/v1/models/orders/versions"),
    ],
)
def test_requests_of_another_workspace_s_token(
    places: FlaskClient, dev_s: Callable[[], dict[str, Any]], token: Callable[..., str], method: str, path: str
) -> None:
    headers = dict(bearer(token("import:other")))
    body = {"run_id": RUN, "artifact_path": "model"} if path.endswith("/versions") else None
    problem(places.open(path, method=method, headers=headers, json=body), 403, "not-allowed")
