"""What an import keeps and updates of models and versions, where the export tool's own import loses or breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.domain.layout import version_prefix
from service.stores import mlflow_tables as m
from service.wiring import Parts
from tests.api.conftest import OTHER_RUN, Rows, Send, model_of
from tests.api.later import THIRD, at, counted
from tests.api.matching import ID
from tests.small_exports import (
    LOGGED,
    MLMODEL,
    RUN,
    Document,
    Files,
    changed,
    logged_model,
    registered_model,
    run,
    version,
)


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


def test_the_status_of_a_version(places: FlaskClient, send: Send, rows: Rows) -> None:
    row = version(status="FAILED_REGISTRATION", status_message="no space")
    send({"model.json": registered_model(row), **model_of(RUN)})
    (kept,) = rows(m.model_versions, name="orders")
    assert (kept.status, kept.status_message) == ("FAILED_REGISTRATION", "no space")
    refused = send({"model.json": registered_model(version(status="BETTER")), **model_of(RUN)})
    assert (refused["file"], refused["field"]) == ("model.json", "mlflow.registered_model.versions[0].status")
    assert places.get("/v1/models/orders").get_json()["versions"] == [1]


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
