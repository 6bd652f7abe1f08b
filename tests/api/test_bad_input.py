"""Whatever is wrong with a request is named in a problem, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.api.bodies import MAX_JSON
from service.app import create_app
from service.exports.plain import MAX_DEPTH
from service.settings import Settings
from service.wiring import Parts
from tests.api.conftest import ORDERS, bearer
from tests.api.problems import PRIVATE, problem
from tests.api.test_imports import PACKINGS
from tests.api.traces import Unchanged
from tests.small_exports import (
    MLMODEL,
    RUN,
    Files,
    changed,
    experiment,
    logged_model,
    model_export,
    packed,
    registered_model,
    run,
    version,
)

IMPORTS = "/v1/workspaces/dev/imports"
STAGE = "/v1/environments/prod/models/orders/stages/Production"
OTHER_RUN = "f" * 32
MIB = 1024 * 1024
NOISE = random.Random(7).randbytes(20_000)  # half of an archive of it is half of the export
Refuse = Callable[..., dict[str, Any]]


@pytest.fixture
def refused(places: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged) -> Refuse:
    """Send an archive that the worker has to refuse, and answer with the problem."""

    def refuse(archive: bytes, status: int, slug: str, query: dict[str, str] | None = None, **where: object) -> Any:
        with nothing_left(refused=1):
            sent = places.post(IMPORTS, data=archive, query_string=query)
            assert sent.status_code == 202, sent.text
            assert run_imports() == 1
        shown = places.get(sent.headers["Location"])
        assert not PRIVATE.search(shown.text), shown.text
        body = shown.get_json()
        assert (body["state"], body["report"]) == ("refused", None)
        document = body["problem"]
        assert document["type"] == f"urn:model-registry:problem:{slug}"
        assert document["status"] == status
        assert document["title"]
        assert document["detail"]
        assert {name: document.get(name) for name in where} == where, document
        return document

    return refuse


# Bodies that are no archive


def test_what_is_no_archive_is_refused_at_once(places: FlaskClient, nothing_left: Unchanged) -> None:
    bodies = (
        b"",
        b"x",
        b"hello " * 1000,
        b'{"mlflow": {}}',
        ORDERS[1:],
        b"\x1f",
        b"Rar!\x1a\x07\x00",
        b"PK",
        bytes(511),
    )
    with nothing_left():
        for body in bodies:
            document = problem(places.post(IMPORTS, data=body), 422, "archive-refused")
            assert "not an archive" in document["detail"]
        form = {"file": (io.BytesIO(ORDERS), "export.tar.gz")}
        problem(places.post(IMPORTS, data=form, content_type="multipart/form-data"), 422, "archive-refused")


def test_truncated_archives_of_each_packing(refused: Refuse) -> None:
    for packing, pack in PACKINGS.items():
        archive = pack({**model_export(), f"{RUN}/artifacts/model/weights": NOISE})
        # A tar ends in zeros, of which it may have any number beyond the first thousand.
        whole = len(archive.rstrip(b"\0")) if packing == "tar" else len(archive)
        for length in (whole // 2, whole - 5):
            document = refused(archive[:length], 422, "archive-refused")
            assert "archive" in document["detail"], packing


def test_damaged_archives(refused: Refuse) -> None:
    gz = bytearray(packed(model_export()))
    gz[-6] ^= 1
    refused(bytes(gz), 422, "archive-refused")
    refused(b"PK\3\4" + b"x" * 100, 422, "archive-refused")
    refused(b"\x1f\x8b" + b"x" * 100, 422, "archive-refused")
    document = refused(packed({**model_export(), "../escape": b""}), 422, "archive-refused", member="../escape")
    assert '".."' in document["detail"]


def test_archives_without_an_export(refused: Refuse) -> None:
    cases: tuple[Files, ...] = (
        {"readme.txt": b"hello"},
        {"manifest.json": {}, "models/models.json": {}},
        {f"{RUN}/artifacts/run.json": run()},
    )
    for files in cases:
        document = refused(packed(files), 422, "export-refused")
        assert "experiment.json, run.json, model.json or prompt.json" in document["detail"]
    refused(packed({}), 422, "export-refused")


def raw(body: io.IOBase, length: int | None) -> dict[str, Any]:
    """The body as a server gives it to the application: with its told length, or in chunks of an untold one."""
    if length is None:
        return {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return {"wsgi.input": body, "CONTENT_LENGTH": str(length)}


class Body(io.RawIOBase):
    """256 MiB that begin like a gzip and are made as they are read; counts what is read of them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.count >= 256 * MIB:
            return 0
        size = min(len(buffer), 65536)
        block = (b"\x1f\x8b" if not self.count else b"xx") + b"x" * (size - 2)
        buffer[:size] = block
        self.count += size
        return size


def test_an_archive_over_the_limit(
    settings: Settings, parts: Parts, token: Callable[..., str], nothing_left: Unchanged
) -> None:
    client = create_app(replace(settings, import_max_bytes=MIB), parts).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token('admin')}"
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})
    with nothing_left():
        told = Body()
        response = client.post(IMPORTS, environ_overrides=raw(told, MIB + 1))
        problem(response, 413, "too-large", limit=MIB)
        assert told.count == 0, "the length was told: nothing had to be read"
        untold = Body()
        response = client.post(IMPORTS, environ_overrides=raw(untold, None))
        problem(response, 413, "too-large", limit=MIB)
        assert untold.count < 32 * MIB, "and without a length it ended soon after the limit"
    noise = b"\x1f\x8b" + b"x" * (MIB - 2)
    assert client.post(IMPORTS, data=noise).status_code == 202, "the limit itself is taken in"


def test_a_body_that_ends_early(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for sent in (ORDERS, ORDERS[:2000]):
            response = places.post(IMPORTS, environ_overrides=raw(io.BytesIO(sent), len(ORDERS) + 10_000))
            problem(response, 422, "invalid-input", header="Content-Length")
        response = places.post(IMPORTS, environ_overrides=raw(io.BytesIO(), 5))
        problem(response, 422, "archive-refused")


# Exports that are wrong

RUN_FILE = f"{RUN}/run.json"
MODEL_FIELD = "mlflow.registered_model"


def with_run(field: str, value: object) -> Files:
    return {**model_export(), RUN_FILE: changed(run(), field, value)}


def with_model(field: str, value: object) -> Files:
    return {**model_export(), "model.json": changed(registered_model(), f"{MODEL_FIELD}.{field}", value)}


def test_files_that_are_no_json(refused: Refuse) -> None:
    for text in (b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000, b'{"a":' * 100_000):
        refused(packed({**model_export(), RUN_FILE: text}), 422, "export-refused", file=RUN_FILE)


def test_fields_of_the_wrong_type(refused: Refuse) -> None:
    """Every field is tried with the readers; here it is told through the whole way."""
    cases: list[tuple[Files, str, str]] = [
        (with_run("mlflow", []), RUN_FILE, "mlflow"),
        (with_run("mlflow.info.run_id", {"a": 1}), RUN_FILE, "mlflow.info.run_id"),
        (with_run("mlflow.info.start_time", "²"), RUN_FILE, "mlflow.info.start_time"),
        (with_run("mlflow.params", {"a\0b": "1"}), RUN_FILE, "mlflow.params.a\N{REPLACEMENT CHARACTER}b"),
        (with_run("mlflow.params", {"a": "\ud800"}), RUN_FILE, "mlflow.params.a"),
        (with_run("mlflow.metrics.loss", [{"value": "x"}]), RUN_FILE, "mlflow.metrics.loss.value"),
        (with_run("mlflow.traces", ["\0"]), RUN_FILE, "mlflow.traces[0]"),
        (with_run("mlflow.newer", "\0"), RUN_FILE, "mlflow.newer"),
        (with_model("versions[0].version", "first"), "model.json", f"{MODEL_FIELD}.versions[0].version"),
        (with_model("tags", [{"value": "x"}]), "model.json", f"{MODEL_FIELD}.tags[0].key"),
        (
            {**model_export(), "experiment.json": changed(experiment(), "info.failed_runs", ["\ud800"])},
            "experiment.json",
            "info.failed_runs[0]",
        ),
        (
            {**model_export(), "m/logged_model.json": logged_model(source_run_id="x" * 33)},
            "m/logged_model.json",
            "mlflow.source_run_id",
        ),
    ]
    for files, file, field in cases:
        refused(packed(files), 422, "export-refused", file=file, field=field)


@pytest.mark.parametrize("limit", ["at", "over"])
def test_texts_as_long_as_mlflow_s_tables_hold(
    limit: str, places: FlaskClient, run_imports: Callable[[], int], refused: Refuse
) -> None:
    """The readers' limits are the tables': at the limit everything is taken in, beyond it the field is named."""
    over = int(limit == "over")
    fields: dict[str, tuple[str, object]] = {
        "mlflow.info.run_name": (RUN_FILE, "ü" * (250 + over)),
        "mlflow.info.user_id": (RUN_FILE, "ü" * (256 + over)),
        "mlflow.params.depth": (RUN_FILE, "ü" * (8000 + over)),
        "mlflow.tags.long": (RUN_FILE, "ü" * (8000 + over)),
        f"{MODEL_FIELD}.name": ("model.json", "ü" * (256 + over)),
        f"{MODEL_FIELD}.description": ("model.json", "ü" * (5000 + over)),
        f"{MODEL_FIELD}.versions[0].description": ("model.json", "ü" * (5000 + over)),
        f"{MODEL_FIELD}.versions[0].user_id": ("model.json", "ü" * (256 + over)),
        f"{MODEL_FIELD}.versions[0].run_link": ("model.json", "ü" * (500 + over)),
        "mlflow.experiment.experiment_id": ("experiment.json", "9" * (64 + over)),
        "mlflow.status_message": ("m/logged_model.json", "ü" * (1000 + over)),
        "mlflow.name": ("m/logged_model.json", "ü" * (500 + over)),
        "mlflow.model_type": ("m/logged_model.json", "ü" * (500 + over)),
        "mlflow.source_run_id": ("m/logged_model.json", "c" * (32 + over)),
    }
    sound: dict[str, Any] = {
        **model_export(),
        "experiment.json": experiment(),
        "m/logged_model.json": logged_model(),
    }
    if over:
        for field, (file, value) in fields.items():
            archive = packed({**sound, file: changed(sound[file], field, value)})
            refused(archive, 422, "export-refused", file=file, field=field)
        return
    for field, (file, value) in fields.items():
        sound[file] = changed(sound[file], field, value)
    metric = {"key": "ü" * 250, "value": 1, "timestamp": 2**63 - 1, "step": 1 - 2**63}
    sound[RUN_FILE] = changed(sound[RUN_FILE], "mlflow.metrics", {metric["key"]: [metric]})
    sound["experiment.json"] = changed(sound["experiment.json"], "mlflow.experiment.tags", {"ü" * 250: "ü" * 50_000})
    sent = places.post(IMPORTS, data=packed(sound))
    run_imports()
    done = places.get(sent.headers["Location"]).get_json()
    assert done["state"] == "done", done["problem"]


def test_options_that_the_export_does_not_fit(refused: Refuse, places: FlaskClient) -> None:
    several = {
        "a/model.json": registered_model(),
        "b/model.json": registered_model(name="other"),
        "a/experiment.json": experiment(),
        "b/experiment.json": experiment(experiment_id="8", name="b"),
        **{f"a/{name}": content for name, content in model_export().items() if name != "model.json"},
    }
    archive = packed(several)
    refused(archive, 422, "export-refused", {"model_name": "one"}, field="model_name")
    refused(archive, 422, "export-refused", {"experiment_name": "one"}, field="experiment_name")
    absent = {"register": "absent/path", "model_name": "one"}
    document = refused(packed(model_export()), 422, "export-refused", absent, field="register")
    assert "'absent/path'" in document["detail"]
    long = packed({"experiment.json": experiment(name="x" * 254), RUN_FILE: run()})
    refused(long, 422, "export-refused", field="experiment_name")
    for name in ("a/b", "a:b", " "):
        refused(packed(with_model("name", name)), 422, "invalid-input", field="model")


def test_names_that_are_someone_else_s(
    refused: Refuse, places: FlaskClient, run_imports: Callable[[], int], engine: sa.Engine
) -> None:
    places.post("/v1/workspaces/other/imports", data=ORDERS)
    run_imports()
    refused(ORDERS, 409, "conflict", field="model_name")
    mine = packed({RUN_FILE: run(), f"{RUN}/artifacts/model/model.pkl": b"mine"})
    refused(mine, 409, "conflict", {"register": "model", "model_name": "orders"}, field="model_name")
    with engine.begin() as connection:
        for name in ("dev/experiment 7", "hosted"):
            connection.execute(
                sa.text(
                    "INSERT INTO public.experiments (name, workspace, lifecycle_stage) "
                    "VALUES (:name, 'default', 'active')"
                ),
                {"name": name},
            )
        connection.execute(
            sa.text("INSERT INTO public.registered_models (workspace, name) VALUES ('default', 'hosted model')")
        )
    refused(mine, 409, "conflict", field="experiment_name")
    refused(mine, 409, "conflict", {"experiment_name": "hosted"}, field="experiment_name")
    refused(mine, 409, "conflict", {"experiment_name": "other/experiment 7"}, field="experiment_name")
    theirs = {"experiment_name": "mine", "register": "model", "model_name": "hosted model"}
    refused(mine, 409, "conflict", theirs, field="model_name")


def test_stages_that_the_environment_does_not_have(refused: Refuse, places: FlaskClient) -> None:
    places.put("/v1/environments/edge", json={"stages": ["Live"]})
    refused(ORDERS, 404, "stage-not-found", {"environment": "edge"}, kind="stage", name="Production")


def test_odd_exports_that_are_sound(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    """What the readers let through is stored and shown again, however odd."""
    odd = b"""
flavors:
  2026-01-31: {1: .nan, big: 0x1%s, bytes: !!binary aGk=, "quote\\\\u0000": "a\\\\u0000"}
signature: {inputs: '["\\ud800"]', outputs: '%s', params: '[NaN]'}
""" % (b"0" * 5000, b"[" * 5000 + b"]" * 5000)
    nested = json.loads("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    files = {
        **with_run("mlflow.newer", {"deep": nested, "nan": [float("nan")], "big": 10**300}),
        f"{RUN}/artifacts/model/MLmodel": odd,
    }
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    done = places.get(sent.headers["Location"]).get_json()
    assert done["state"] == "done", done["problem"]
    shown = places.get("/v1/models/orders/versions/1")
    assert shown.status_code == 200
    body = shown.get_json()
    assert body["flavors"]["2026-01-31"]["1"] == "NaN"
    assert body["flavors"]["2026-01-31"]["quote\\u0000"] == "a\\u0000"
    assert body["signature"]["inputs"] == '["\\ud800"]'
    assert body["lineage"]["source"]["unknown"]["newer"]["nan"] == ["NaN"]
    assert places.get(f"/v1/runs/{RUN}").status_code == 200


# Requests that are wrong


def test_options_of_the_wrong_shape(places: FlaskClient, nothing_left: Unchanged) -> None:
    cases: list[tuple[dict[str, str], str, str]] = [
        # the query, the member of the problem that names the parameter, the parameter
        ({"register": "model"}, "field", "model_name"),
        ({"model_name": "a/b"}, "field", "model_name"),
        ({"model_name": " "}, "field", "model_name"),
        ({"model_name": "x" * 257}, "fields", "model_name"),
        ({"model_name": "a\0"}, "fields", "model_name"),
        ({"experiment_name": "x" * 257}, "fields", "experiment_name"),
        ({"experiment_name": "a\0"}, "fields", "experiment_name"),
        ({"register": "a\0", "model_name": "m"}, "fields", "register"),
        ({"register": "x" * 901, "model_name": "m"}, "fields", "register"),
        ({"environment": "a\0"}, "fields", "environment"),
        ({"environment": "x" * 64}, "fields", "environment"),
        ({"modelname": "m"}, "fields", "modelname"),
    ]
    with nothing_left():
        for query, member, named in cases:
            document = problem(places.post(IMPORTS, data=ORDERS, query_string=query), 422, "invalid-input")
            found = document[member] if member == "field" else [row["field"] for row in document["fields"]]
            assert found in (named, [named]), query


JSON_ROUTES: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    # route: a sound body, and a field of it that is text
    ("PUT", "/v1/workspaces/dev"): ({"kind": "mlflow"}, "description"),
    ("PUT", "/v1/environments/prod"): ({}, "description"),
    ("POST", "/v1/tokens"): ({"name": "a", "scopes": ["admin"]}, "name"),
    ("POST", "/v1/models/orders/versions"): ({"run_id": RUN}, "artifact_path"),
    ("PUT", STAGE): ({"version": 2}, "comment"),
}
NO_JSON = {
    "empty": b"",
    "cut": b'{"a": ',
    "not JSON": b"hello",
    "not UTF-8": b'{"a": "\xff"}',
    "NUL": b"\0",
    "two": b"{} {}",
    "a huge number": b'{"version": ' + b"9" * 5000 + b"}",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep field": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a list": b"[]",
    "a list of objects": b"[{}]",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "NaN": b"NaN",
    "a text": b'"text"',
    "a text of JSON": b'"{\\"version\\": 2}"',
    "a text of half a pair": b'"\\ud800"',
}


@pytest.mark.parametrize("route", JSON_ROUTES, ids=" ".join)
def test_json_bodies(route: tuple[str, str], filled: FlaskClient, nothing_left: Unchanged) -> None:
    method, path = route
    sound, text = JSON_ROUTES[route]

    def send(data: bytes | str, content_type: str = "application/json") -> Any:
        return filled.open(path, method=method, data=data, content_type=content_type)

    with nothing_left():
        for body in NO_JSON.values():
            problem(send(body), 422, "invalid-input", field="body")
        for content_type in ("text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"):
            document = problem(send(json.dumps(sound), content_type), 415, "unsupported-media-type")
            assert "application/json" in document["detail"]
        for value in ("a\0b", "\ud800", 1, ["a"], {"a": "b"}, 10**400, "x" * 6000):
            document = problem(send(json.dumps({**sound, text: value})), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [text]
        for name in ("unknown", "a\0", "\ud800", "x" * 1000, "__proto__", ""):
            document = problem(send(json.dumps({**sound, name: 1})), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == ["" if name == "\ud800" else name[:100]]
        many = send(json.dumps({**sound, **{f"f{number}": 1 for number in range(10_000)}}))
        assert len(problem(many, 422, "invalid-input")["fields"]) == 20
        problem(send(b'{"a": "' + b"x" * MAX_JSON + b'"}'), 413, "too-large", limit=MAX_JSON)


def test_an_endless_json_body_is_not_read(client: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for length in (None, 2**40):
            body = Body()
            response = client.post("/v1/tokens", content_type="application/json", environ_overrides=raw(body, length))
            problem(response, 413, "too-large", limit=MAX_JSON)
            assert body.count < 4 * MAX_JSON


def test_addresses_that_no_database_holds(filled: FlaskClient, nothing_left: Unchanged) -> None:
    nul, half = "a%00b", "a%ED%A0%80b"
    paths = {
        "workspace": "/v1/workspaces/{}",
        "environment": "/v1/environments/{}",
        "import_id": "/v1/imports/{}",
        "model": "/v1/models/{}",
        "stage": "/v1/environments/prod/models/orders/stages/{}",
        "run_id": "/v1/runs/{}",
        "original_run_id": "/v1/workspaces/dev/runs/{}",
    }
    with nothing_left():
        for field, path in paths.items():
            document = problem(filled.get(path.format(nul)), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [field]
            response = filled.get(path.format(half))
            problem(response, 404, f"{response.get_json()['kind']}-not-found")
        for path in ("/v1/workspaces/{}", "/v1/environments/{}", "/v1/tokens/{}", "/v1/imports/{}"):
            problem(filled.delete(path.format(nul)), 422, "invalid-input")
        for path in (IMPORTS, "/v1/workspaces/{}/imports"):
            problem(filled.post(path.format(nul), data=ORDERS, query_string={"model_name": "\0"}), 422, "invalid-input")
        problem(filled.get(IMPORTS, query_string={"before": "\0"}), 422, "invalid-input")
        problem(
            filled.put("/v1/environments/a%00b/models/orders/stages/Production", json={"version": 1}),
            422,
            "invalid-input",
        )
        problem(filled.post("/v1/models/a%00b/versions", json={"run_id": RUN}), 422, "invalid-input")
        problem(filled.get("/v1/workspaces/a%2Fb"), 404, "not-found")


def test_nothing_is_taken_in_without_a_token(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for headers in ({"Authorization": ""}, bearer("wrong"), bearer("mreg_" + "x" * 43)):
            body = Body()
            response = places.post(IMPORTS, environ_overrides=raw(body, MIB), headers=dict(headers))
            problem(response, 401, "not-authenticated")
            assert body.count == 0
            for (method, path), (sound, _) in JSON_ROUTES.items():
                problem(places.open(path, method=method, json=sound, headers=dict(headers)), 401, "not-authenticated")


def test_an_unexpected_error_tells_nothing(
    places: FlaskClient, parts: Parts, monkeypatch: pytest.MonkeyPatch, nothing_left: Unchanged
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM registry.tokens at /home/jane on 127.0.0.1")

    with nothing_left(), monkeypatch.context() as patch:
        patch.setattr("service.api.models.list_models", fail)
        problem(places.get("/v1/models"), 500, "error")
        patch.setattr(type(parts.objects), "put", fail)
        problem(places.post(IMPORTS, data=ORDERS), 500, "error")


def test_an_import_that_cannot_be_queued_leaves_no_archive(
    places: FlaskClient, monkeypatch: pytest.MonkeyPatch, nothing_left: Unchanged
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    with nothing_left(), monkeypatch.context() as patch:
        patch.setattr("service.stores.queue.JobQueue.put", fail)
        problem(places.post(IMPORTS, data=ORDERS), 500, "error")
    assert places.post(IMPORTS, data=ORDERS).status_code == 202


def test_versions_are_unharmed_by_what_is_refused(
    filled: FlaskClient, run_imports: Callable[[], int], nothing_left: Unchanged
) -> None:
    """A later, broken export of the same model changes nothing that was handed out before."""
    before = filled.get(STAGE)
    files: Files = {
        "model.json": registered_model(version("1", description="changed"), version("3", OTHER_RUN)),
        RUN_FILE: run(),
        f"{RUN}/artifacts/model/MLmodel": MLMODEL,
        f"{OTHER_RUN}/run.json": changed(run(OTHER_RUN), "mlflow.info.end_time", "late"),
    }
    with nothing_left(refused=1):
        filled.post(IMPORTS, data=packed(files))
        run_imports()
    after = filled.get(STAGE)
    assert (after.get_json(), after.headers["ETag"]) == (before.get_json(), before.headers["ETag"])
