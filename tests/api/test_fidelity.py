"""What an import keeps, updates and reports, where the export tool's own import loses or breaks it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.layout import version_prefix
from service.stores import mlflow_tables as m
from service.wiring import Parts
from tests.api.conftest import OTHER_RUN, Rows, Send, model_of
from tests.api.matching import ID
from tests.small_exports import (
    LOGGED,
    MLMODEL,
    RUN,
    SYSTEM,
    Document,
    Files,
    changed,
    experiment,
    logged_model,
    registered_model,
    run,
    version,
)

THIRD = "3" * 32


def at(document: Document, export_time: int) -> Document:
    """The same, exported at another time."""
    return changed(document, "system", {**SYSTEM, "export_time": export_time})


def counted(report: Mapping[str, Any], kind: str) -> dict[str, int]:
    return {what: count for what, count in report["counts"][kind].items() if count and what != "found"}


def test_a_model_without_versions(places: FlaskClient, send: Send) -> None:
    document = registered_model(description="empty yet", tags=[{"key": "a", "value": "b"}])
    document["mlflow"]["registered_model"]["versions"] = []
    report = send({"model.json": document})
    assert counted(report, "models") == {"created": 1}
    model = places.get("/v1/models/orders").get_json()
    assert (model["description"], model["tags"], model["versions"]) == ("empty yet", {"a": "b"}, [])
    theirs = send({"model.json": changed(document, "mlflow.registered_model.description", "taken")}, "other")
    assert (theirs["type"], theirs["field"]) == ("urn:model-registry:problem:conflict", "model_name")
    assert places.get("/v1/models/orders").get_json()["description"] == "empty yet"


def test_ten_versions_sorted_as_texts(places: FlaskClient, send: Send, parts: Parts) -> None:
    """v10 is Production and champion, and its bytes are its own, although the tool lists 1, 10, 2."""
    numbers = sorted(map(str, range(1, 12)))
    runs = {number: f"{int(number):032x}" for number in numbers}
    files: dict[str, bytes | Document] = {
        "model.json": registered_model(
            *(version(n, runs[n], current_stage="Production" if n == "10" else "None") for n in numbers),
            aliases=[{"alias": "champion", "version": "10"}],
        )
    }
    for number, run_id in runs.items():
        files.update(model_of(run_id, f"bytes of {number}".encode()))
    send(files, environment="prod")
    assert places.get("/v1/models/orders").get_json()["aliases"] == {"champion": 10}
    stage = places.get("/v1/environments/prod/models/orders/stages/Production").get_json()
    assert (stage["version"], stage["lineage"]["original_version"]) == (10, "10")
    with parts.objects.open(version_prefix(stage["digest"]) + "model.pkl") as body:
        assert body.read() == b"bytes of 10"


def test_an_experiment_that_only_a_later_export_named(send: Send, rows: Rows) -> None:
    """A model's export says nothing of its experiment but the name: an older export still describes it."""
    named = version(_experiment_name="/Shared/orders")
    send({"model.json": at(registered_model(named), 1700000009), f"{RUN}/run.json": at(run(), 1700000009)})
    report = send({"experiment.json": at(experiment(tags={"team": "a"}), 1700000001), f"{RUN}/run.json": run()})
    (row,) = report["experiments"]
    (found,) = rows(m.experiments, experiment_id=int(row["id"]))
    assert (found.name, found.creation_time) == ("dev//Shared/orders", 1)
    assert counted(report, "experiments") == {"updated": 1}


def test_several_versions_in_one_stage(places: FlaskClient, send: Send) -> None:
    """The highest of the source's numbers wins, also when numbers here are others; the report names the rest."""
    production = {"current_stage": "Production"}
    send({"model.json": registered_model(version("9", OTHER_RUN)), **model_of(OTHER_RUN, b"in the way")})
    files: Files = {
        "model.json": registered_model(version("9", **production), version("10", THIRD, **production)),
        **model_of(RUN),
        **model_of(THIRD, b"43"),
    }
    report = send(files, environment="prod")
    assert [row["version"] for row in report["versions"]] == [10, 11]
    assert report["stages"] == [
        {
            "environment": "prod",
            "model": "orders",
            "stage": "Production",
            "version": 11,
            "instead_of": [10],
            "state": "applied",
            "promotion": ID,
            "revision": 1,
        }
    ]
    stage = places.get("/v1/environments/prod/models/orders/stages/Production").get_json()
    assert stage["lineage"]["original_version"] == "10"


def test_stages_are_applied_only_when_asked_for(places: FlaskClient, send: Send) -> None:
    files: Files = {"model.json": registered_model(version(current_stage="Production")), **model_of(RUN)}
    assert send(files)["stages"] == []
    assert places.get("/v1/environments/prod/stages").get_json()["assignments"] == []
    assert places.get("/v1/models/orders/versions/1").get_json()["lineage"]["original_stage"] == "Production"


def test_a_changed_model_is_updated(places: FlaskClient, send: Send, rows: Rows) -> None:
    """Tags, aliases, descriptions and stages follow the source; what it lost stays; an older export changes nothing."""
    first: Files = {
        "model.json": registered_model(
            version(tags={"a": "1", "gone": "x"}, creation_timestamp=5),
            version("2", OTHER_RUN, current_stage="Staging"),
            description="old",
            tags=[{"key": "team", "value": "a"}, {"key": "gone", "value": "x"}],
            aliases=[{"alias": "champion", "version": "1"}],
        ),
        **model_of(RUN),
        **model_of(OTHER_RUN, b"43"),
    }
    send(first)
    later = registered_model(
        version(tags={"a": "2"}, description="now", last_updated_timestamp=9),
        version("2", OTHER_RUN, current_stage="Production"),
        description="new",
        last_updated_timestamp=99,
        tags=[{"key": "team", "value": "b"}],
        aliases=[{"alias": "champion", "version": "2"}],
    )
    second = {**first, "model.json": at(later, 1800000000)}
    report = send(second, environment="prod")
    assert counted(report, "models") == {"updated": 1}
    assert counted(report, "versions") == {"updated": 2}
    assert counted(report, "runs") == {"skipped": 2}
    stage = places.get("/v1/environments/prod/models/orders/stages/Production").get_json()
    assert stage["version"] == 2, "the stage that the source has now, not the one it had"

    def state() -> tuple[Any, ...]:
        model = places.get("/v1/models/orders").get_json()
        one = places.get("/v1/models/orders/versions/1").get_json()
        tags = {row.key: row.value for row in rows(m.model_version_tags, name="orders", version=1)}
        return model["description"], model["tags"], model["aliases"], one["description"], tags

    now = ("new", {"team": "b", "gone": "x"}, {"champion": 2}, "now", {"a": "2", "gone": "x"})
    assert state() == now
    (row,) = rows(m.registered_models, name="orders")
    assert (row.creation_time, row.last_updated_time) == (1, 99)
    (row,) = rows(m.model_versions, name="orders", version=1)
    assert (row.description, row.last_updated_time) == ("now", 9)
    older = send({**first, "again.txt": b""})
    assert counted(older, "models") == {"skipped": 1}
    assert counted(older, "versions") == {"skipped": 2}
    assert state() == now


def test_an_alias_of_a_version_that_came_before(places: FlaskClient, send: Send) -> None:
    send({"model.json": registered_model(version("3")), **model_of(RUN)})
    aliases = [{"alias": "champion", "version": "3"}, {"alias": "lost", "version": "8"}]
    report = send(
        {"model.json": registered_model(version("5", OTHER_RUN), aliases=aliases), **model_of(OTHER_RUN, b"5")}
    )
    assert places.get("/v1/models/orders").get_json()["aliases"] == {"champion": 3}
    assert report["incomplete"] == [
        {"kind": "alias", "name": "orders@lost", "reason": "its version 8 was not taken in"}
    ]


def running(**info: Any) -> Document:
    document = run()
    document["mlflow"]["info"] |= {"status": "RUNNING", "end_time": None, **info}
    return document


def test_a_run_that_went_on(send: Send, rows: Rows) -> None:
    """A later export ends it and adds points; the earlier one, sent again, does not set it back."""
    early = changed(running(run_name="early"), "mlflow.tags", {"state": "early", "gone": "x"})
    files = {"experiment.json": experiment(), f"{RUN}/run.json": early}
    assert counted(send(files), "runs") == {"created": 1}
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.end_time) == ("RUNNING", None)
    points = [
        {"value": 0.5, "timestamp": 1700000000500, "step": 1},
        {"value": 0.4, "timestamp": 1700000000900, "step": 2},
    ]
    late = at(run(metrics={"loss": points}, tags={"state": "late"}), 1800000000)
    report = send({"experiment.json": at(experiment(), 1800000000), f"{RUN}/run.json": late})
    assert counted(report, "runs") == {"updated": 1}
    assert counted(report, "metrics") == {"created": 1, "skipped": 1}
    assert counted(report, "tags") == {"updated": 1}
    again = send({**files, "again.txt": b""})
    assert counted(again, "runs") == {"skipped": 1}
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.end_time, row.name) == ("FINISHED", 1700000001000, "first")
    assert {tag.key: tag.value for tag in rows(m.tags, run_uuid=RUN)} == {"state": "late", "gone": "x"}
    (latest,) = rows(m.latest_metrics, run_uuid=RUN)
    assert (latest.value, latest.step) == (0.4, 2)


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"])
def test_every_status_is_kept(send: Send, rows: Rows, status: str) -> None:
    send({f"{RUN}/run.json": running(status=status)})
    (row,) = rows(m.runs, run_uuid=RUN)
    assert (row.status, row.start_time, row.user_id) == (status, 1700000000000, "jane")


def test_deleted_stays_deleted_and_may_come_back(send: Send, rows: Rows) -> None:
    def files(stage: str, when: int) -> Files:
        document = run()
        document["mlflow"]["info"]["lifecycle_stage"] = stage
        return {
            "experiment.json": at(experiment(lifecycle_stage=stage, creation_time=None), when),
            f"{RUN}/run.json": at(document, when),
        }

    for when, stage in enumerate(("deleted", "active", "deleted"), 1800000000):
        report = send(files(stage, when))
        (row,) = rows(m.runs, run_uuid=RUN)
        assert (row.lifecycle_stage, row.deleted_time) == (stage, 1700000001000 if stage == "deleted" else None)
        (row,) = rows(m.experiments, name="dev//Shared/orders")
        assert row.lifecycle_stage == stage
    assert counted(report, "runs") == {"updated": 1}
    assert counted(report, "experiments") == {"updated": 1}


def test_values_of_metrics(send: Send, rows: Rows) -> None:
    values = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -0.0, 5e-324, 10**400]
    points = [{"value": value, "timestamp": step, "step": step} for step, value in enumerate(values)]
    send({f"{RUN}/run.json": run(metrics={"m#?%20 é": points})})
    largest = 1.7976931348623157e308
    found = sorted((row.step, row.value, row.is_nan) for row in rows(m.metrics, run_uuid=RUN, key="m#?%20 é"))
    expected = [0.0, largest, -largest, largest, -0.0, 5e-324, largest]
    assert found == [(step, value, step == 0) for step, value in enumerate(expected)]


def test_partial_folders_of_failed_runs(places: FlaskClient, send: Send) -> None:
    """A run that the tool gave up is taken in for what it holds and told; no version is made of part of a model."""
    document = experiment()
    document["info"] = {"num_total_runs": 5, "failed_runs": [OTHER_RUN, THIRD]}
    files = {
        "experiment.json": document,
        "model.json": registered_model(version(), version("2", OTHER_RUN)),
        **model_of(RUN),
        **model_of(OTHER_RUN, b"part"),
    }
    report = send(files)
    recorded = "the export tool recorded it as failed"
    assert report["failed"] == [
        {
            "kind": "version",
            "name": "orders/2",
            "reason": "the export tool recorded the version's run as failed: files of the model may be missing",
        },
        {"kind": "run", "name": THIRD, "reason": recorded},
    ]
    assert report["incomplete"] == [
        {"kind": "experiment", "name": "/Shared/orders", "reason": "the export tool met 5 runs and names 3"},
        {"kind": "run", "name": OTHER_RUN, "reason": f"{recorded}; what its folder holds was taken in"},
    ]
    assert counted(report, "runs") == {"created": 2, "failed": 1}
    assert places.get("/v1/models/orders").get_json()["versions"] == [1]
    del files["model.json"]
    by_path = send(files, register="model", model_name="by-path")
    assert [row["run_id"] for row in by_path["versions"]] == [RUN]
    assert f"{OTHER_RUN}/model" in {row["name"] for row in by_path["failed"]}


def test_what_indexes_list_and_the_export_lacks(send: Send) -> None:
    report = send(
        {
            "experiments/experiments.json": {
                "mlflow": {"experiments": [{"id": "7", "name": "/Shared/orders"}, {"id": "8", "name": "lost"}]}
            },
            "experiments/7/experiment.json": experiment(),
            f"experiments/7/{RUN}/run.json": run(),
            "experiments/7/logged_models/logged_models.json": {
                "info": {"failed_logged_models": [{"m-1": "no"}]},
                "mlflow": {"experiments": [{"id": "7", "logged_models": ["m-2"]}]},
            },
            "models/models.json": {"info": {"failed_models": ["broken"]}, "mlflow": {"models": ["broken", "gone"]}},
        }
    )
    lists = "the export lists it and does not hold it"
    recorded = "the export tool recorded it as failed"
    assert sorted((row["kind"], row["name"], row["reason"]) for row in report["failed"]) == [
        ("experiment", "8", lists),
        ("logged_model", "m-2", lists),
        ("logged_model", '{"m-1": "no"}', recorded),
        ("model", "broken", recorded),
        ("model", "gone", lists),
    ]
    assert report["unread_files"] == []


def test_a_missing_parent_is_told(send: Send, rows: Rows) -> None:
    child = run(tags={"mlflow.parentRunId": OTHER_RUN, "mlflow.rootRunId": OTHER_RUN})
    report = send({f"{RUN}/run.json": child})
    why = f"its parent run {OTHER_RUN} is not in the export and was not imported before"
    assert report["incomplete"] == [{"kind": "run", "name": RUN, "reason": why}]
    assert {row.value for row in rows(m.tags, run_uuid=RUN)} == {OTHER_RUN}
    assert send({f"{OTHER_RUN}/run.json": run(OTHER_RUN)})["incomplete"] == []
    assert send({f"{RUN}/run.json": child, "again.txt": b""})["incomplete"] == []


def test_a_metric_of_a_run_that_is_not_there_is_told(send: Send) -> None:
    metric = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 2, "run_id": OTHER_RUN}
    report = send({f"{LOGGED}/logged_model.json": logged_model(metrics=[metric], source_run_id=None)})
    why = f"its run {OTHER_RUN} is not in the export and was not imported before"
    assert report["failed"] == [{"kind": "logged_model_metric", "name": f"{LOGGED}/loss", "reason": why}]


def test_newer_fields_and_permissions_are_kept(places: FlaskClient, send: Send) -> None:
    """In run, experiment, registered model, version and logged model; each can be asked for."""
    newer = {"deep": [1, None, "x"]}
    permissions = {"permissions": {"access_control_list": [{"user_name": "jane"}]}}
    described = changed(experiment(newer=newer, artifact_location="dbfs:/7"), "mlflow.permissions", permissions)
    document = run()
    document["mlflow"]["info"]["newer"] = newer
    send(
        {
            "experiment.json": described,
            "model.json": registered_model(version(newer=newer), newer=newer, permissions=permissions),
            f"{RUN}/run.json": document,
            f"{RUN}/artifacts/model/MLmodel": MLMODEL,
            f"{LOGGED}/logged_model.json": logged_model(newer=newer),
        }
    )

    def unknown(path: str) -> Any:
        return places.get(f"/v1/workspaces/dev/{path}").get_json()["origins"][0]["lineage"]["unknown"]

    assert unknown("experiments/7") == {"newer": newer, "artifact_location": "dbfs:/7", "permissions": permissions}
    assert unknown("models/orders") == {"newer": newer, "permissions": permissions}
    assert unknown(f"logged-models/{LOGGED}") == {"newer": newer}
    source = places.get(f"/v1/workspaces/dev/runs/{RUN}").get_json()["lineage"]["source"]
    assert source["unknown"] == {"info": {"newer": newer}}
    lineage = places.get("/v1/models/orders/versions/1").get_json()["lineage"]
    assert lineage["source"]["version"] == {"unknown": {"newer": newer}}


@pytest.mark.parametrize(
    "tags",
    [
        {"mlflow_exim.run_info.run_id": "first", "mlflow_exim.run_info.user_id": "ann"},
        {"mlflow_export_import.metadata.run_id": "first", "mlflow_export_import.metadata.user_id": "ann"},
    ],
)
def test_the_first_origin_of_an_earlier_import(places: FlaskClient, send: Send, tags: dict[str, str]) -> None:
    send({f"{RUN}/run.json": run(tags=tags)})
    source = places.get(f"/v1/runs/{RUN}").get_json()["lineage"]["source"]
    assert source["origin"] == {"run_id": "first", "user_id": "ann"}
    assert source["tags"] == tags


def test_datasets_and_logged_models_are_updated(send: Send, rows: Rows) -> None:
    def files(tag: str, when: int) -> Files:
        inputs = [{"dataset": {"name": "iris", "digest": "d"}, "tags": [{"key": "context", "value": tag}]}]
        points = [{"key": "auc", "value": 0.5, "timestamp": 1, "step": step, "run_id": RUN} for step in range(len(tag))]
        model = logged_model(tags={"t": tag}, metrics=points, last_updated_timestamp=when)
        return {
            f"{RUN}/run.json": at(run(inputs=inputs), when),
            f"{LOGGED}/logged_model.json": at(model, when),
        }

    send(files("a", 1800000000))
    report = send(files("ab", 1800000001))
    assert counted(report, "dataset_inputs") == {"updated": 1}
    assert counted(report, "logged_models") == {"updated": 1}
    assert [row.value for row in rows(m.input_tags)] == ["ab"]
    assert [row.tag_value for row in rows(m.logged_model_tags)] == ["ab"]
    assert sorted(row.metric_step for row in rows(m.logged_model_metrics)) == [0, 1]
    assert counted(send({**files("ab", 1800000001), "x.txt": b""}), "logged_models") == {"skipped": 1}


def test_the_status_of_a_version(places: FlaskClient, send: Send, rows: Rows) -> None:
    row = version(status="FAILED_REGISTRATION", status_message="no space")
    send({"model.json": registered_model(row), **model_of(RUN)})
    (kept,) = rows(m.model_versions, name="orders")
    assert (kept.status, kept.status_message) == ("FAILED_REGISTRATION", "no space")
    refused = send({"model.json": registered_model(version(status="BETTER")), **model_of(RUN)})
    assert (refused["file"], refused["field"]) == ("model.json", "mlflow.registered_model.versions[0].status")
    assert places.get("/v1/models/orders").get_json()["versions"] == [1]


def test_an_experiment_under_two_names(places: FlaskClient, send: Send, rows: Rows) -> None:
    """It stays under the name that the caller gave it, also for exports that come without it."""
    files = {"experiment.json": experiment(), f"{RUN}/run.json": run()}
    assert send(files, experiment_name="central")["experiments"][0]["name"] == "central"
    later = {**files, f"{OTHER_RUN}/run.json": run(OTHER_RUN)}
    assert send(later)["experiments"][0]["name"] == "central"
    elsewhere = send({**later, f"{THIRD}/run.json": run(THIRD)}, experiment_name="elsewhere")
    assert elsewhere["experiments"][0]["name"] == "elsewhere"
    assert counted(elsewhere, "runs") == {"created": 1, "skipped": 2}
    for name in ("central", "elsewhere"):
        assert "experiments" in send({**later, f"{name}.txt": b""}, experiment_name=name), "still its own"
    found = places.get("/v1/workspaces/dev/experiments/7").get_json()["origins"]
    assert {origin["name"] for origin in found} == {"central", "elsewhere"}
    assert {row.name for row in rows(m.experiments)} == {"central", "elsewhere"}


def test_an_experiment_that_was_renamed_at_the_source(send: Send, rows: Rows) -> None:
    send({"experiment.json": experiment(), f"{RUN}/run.json": run()})
    report = send({"experiment.json": experiment(name="/Shared/renamed"), f"{RUN}/run.json": run()})
    assert [row["name"] for row in report["experiments"]] == ["dev//Shared/renamed"]
    assert {row.name for row in rows(m.experiments)} == {"dev//Shared/renamed"}


def test_the_same_number_on_another_server_is_another_experiment(send: Send, rows: Rows) -> None:
    send({"experiment.json": experiment(), f"{RUN}/run.json": run()})
    send({"experiment.json": experiment(name="else"), f"{OTHER_RUN}/run.json": run(OTHER_RUN)})
    assert {row.name for row in rows(m.experiments)} == {"dev//Shared/orders", "dev/else"}


def test_a_version_of_a_run_that_came_before(places: FlaskClient, send: Send) -> None:
    send({f"{RUN}/run.json": run()})
    model_id = LOGGED
    files: Files = {
        "model.json": registered_model(version(source=f"models:/{model_id}")),
        f"{model_id}/logged_model.json": logged_model(),
        f"{model_id}/artifacts/MLmodel": MLMODEL,
    }
    (row,) = send(files)["versions"]
    assert row["run_id"] == RUN


COPY = version("2", source="models:/orders/1")
ABSENT_RUN = version("3", "e" * 32)


@pytest.mark.parametrize(
    ("row", "files", "content"),
    [
        (COPY, {}, b"42"),
        (ABSENT_RUN, {"version_models/3/MLmodel": MLMODEL, "version_models/3/model.pkl": b"3"}, b"3"),
        (ABSENT_RUN, {"version_models/3/m/MLmodel": MLMODEL, "version_models/3/m/model.pkl": b"3"}, b"3"),
        (version("4", source="dbfs:/elsewhere", _download_uri=f"runs:/{RUN}/model"), {}, b"42"),
    ],
)
def test_where_the_files_of_a_version_are_found(
    places: FlaskClient, send: Send, parts: Parts, row: Document, files: Files, content: bytes
) -> None:
    report = send({"model.json": registered_model(version(), row), **model_of(RUN), **files})
    assert (report["failed"], report["unread_files"]) == ([], [])
    digest = places.get(f"/v1/models/orders/versions/{row['version']}").get_json()["digest"]
    with parts.objects.open(version_prefix(digest) + "model.pkl") as body:
        assert body.read() == content
