"""What hostile requests get of the hosted registry: a 4xx in MLflow's form that tells nothing, and nothing changes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from service.hosting.intake import MAX_BODY
from service.wiring import Parts
from tests.api.traces import unchanged
from tests.hosting.surface import PARAMETER, Row, surface

PRIVATE = re.compile(
    r"Traceback|File \"|\.py\b|psycopg|sqlalche|\[SQL|\b(SELECT|INSERT|UPDATE|DELETE|FROM) "
    r"|parameters: |urllib3|minio|127\.0\.0\.1|localhost|bucket-\d|/tmp/|/home/|/usr/|\.venv|0x[0-9a-f]{8}"
    r"|registry-objects"
)
SURFACE = surface()
WRITING = [row for row in SURFACE if not row.by_query]


def refused(answer: TestResponse, what: object) -> None:
    """A 4xx in MLflow's form, with nothing private in it."""
    assert 400 <= answer.status_code < 500, (what, answer.status_code, answer.text[:500])
    told = answer.get_json()
    assert set(told) == {"error_code", "message"}, (what, told)
    assert re.fullmatch("[A-Z_]+", told["error_code"]), (what, told)
    assert told["message"].strip(), (what, told)
    assert not PRIVATE.search(told["message"]), (what, told)


def harmless(answer: TestResponse, what: object) -> None:
    """No 5xx, and nothing private in a refusal."""
    if answer.status_code >= 400:
        refused(answer, what)


@pytest.fixture
def story(hosted: Callable[..., Client]) -> dict[str, Any]:
    """An experiment with a run, and what else the requests below name."""
    client = hosted("track")
    api = "/api/2.0/mlflow"
    experiment = client.post(f"{api}/experiments/create", json={"name": "trials"}).get_json()["experiment_id"]
    body = {"experiment_id": experiment, "start_time": 1}
    run = client.post(f"{api}/runs/create", json=body).get_json()["run"]["info"]["run_id"]
    return {
        "experiment_id": experiment,
        "experiment_ids": [experiment],
        "run_id": run,
        "run_uuid": run,
        "run_ids": [run],
        "experiment_name": "trials",
        "name": "thing",
        "new_name": "other",
        "version": "1",
        "key": "k",
        "param_key": "k",
        "value": "1",
        "timestamp": 1,
        "step": 0,
        "alias": "best",
        "max_results": 5,
        "metric_key": "m",
        "path": "a/b",
        "artifact_file_path": "a/b",
        "status": "RUNNING",
    }


def address(row: Row, story: dict[str, Any]) -> str:
    return PARAMETER.sub(lambda match: str(story.get(match[1], "absent")), row.path)


def send(client: Client, row: Row, story: dict[str, Any], fields: dict[str, Any]) -> TestResponse:
    if row.by_query:
        query = {name: value for name, value in fields.items() if not isinstance(value, dict)}
        return client.get(address(row, story), query_string=query)
    return client.open(address(row, story), method=row.method, data=json.dumps(fields), content_type="application/json")


BODIES: list[bytes] = [
    b"[]",
    b'["name"]',
    b'"text"',
    b'"{\\"name\\": \\"doubly\\"}"',
    b"7",
    b"null",
    b"true",
    b"{",
    b"{'name': 1}",
    b'{"name": }',
    b"\xff\xfe{}",
    b'{"name": "\xff"}',
    b'{"name": "\xed\xa0\x80"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' * 60 + b"1" + b"}" * 60,
    b'{"name": "a\\u0000b"}',
    b'{"a\\u0000b": 1}',
    b'{"name": "\\ud800"}',
    b'{"tags": [{"key": "\\udfff", "value": ""}]}',
    b'{"name": NaN}',
    b'{"value": Infinity}',
    b'{"value": 1e999}',
    b'{"value": ' + b"9" * 5000 + b"}",
    b'{"timestamp": 18446744073709551616}',
    b'{"name": "a", "name": "b"}',
    b'{"filter": "' + b"(" * 10_000 + b'"}',
    b'{"order_by": [' + b'"a",' * 99 + b'"a"]}',
    b'{"tags": {"mlflow.artifactLocation": "/etc"}}',
    b'{"key": "mlflow.artifactLocation", "value": "s3://other/place"}',
    b'{"key": "mlflow.artifactLocation", "value": "mlflow-artifacts:/1/../2"}',
    b'{"key": "mlflow.trace.archiveLocation", "value": "mlflow-artifacts://host/1"}',
]


def test_bodies_that_are_no_sound_object(
    hosted: Callable[..., Client], story: dict[str, Any], parts: Parts, engine: sa.Engine
) -> None:
    client = hosted("admin")
    with unchanged(engine, parts.objects)():
        for row in WRITING:
            if row.permission.value == "promote":
                continue
            for body in BODIES:
                got = client.open(address(row, story), method=row.method, data=body, content_type="application/json")
                refused(got, (row.method, row.path, body[:60]))


@pytest.mark.parametrize("field", [{"orderBy": ["a"] * 100}, {"order_by": ["a"] * 100}, {"datasetFilter": "x" * 9000}])
def test_bounds_hold_for_a_field_in_camel_case(hosted: Callable[..., Client], field: dict[str, Any]) -> None:
    got = hosted("admin").post("/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"], **field})
    refused(got, field)
    assert next(iter(field)) in got.get_json()["message"]


def test_content_types(hosted: Callable[..., Client], story: dict[str, Any], parts: Parts, engine: sa.Engine) -> None:
    client = hosted("admin")
    create = "/api/2.0/mlflow/experiments/create"
    with unchanged(engine, parts.objects)(recorded=4):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            refused(client.post(create, data=b'{"name": "new"}', content_type=kind), kind)


def test_huge_bodies(hosted: Callable[..., Client], story: dict[str, Any], parts: Parts, engine: sa.Engine) -> None:
    client = hosted("admin")
    with unchanged(engine, parts.objects)():
        huge = b'{"name": "' + b"x" * MAX_BODY + b'"}'
        got = client.post("/api/2.0/mlflow/experiments/create", data=huge, content_type="application/json")
        assert (got.status_code, got.get_json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    metrics = [{"key": f"m{number}", "value": 1, "timestamp": 1, "step": 0} for number in range(1001)]
    refused(
        client.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": story["run_id"], "metrics": metrics}), "batch"
    )


@pytest.mark.parametrize(
    "query", ["run_id=%00", "run_id=%ff", "run_id=%ed%a0%80", "run_id=%zz", "run_id=%", "run_id=a&x=%00", "%00=a"]
)
def test_queries_that_are_no_text(hosted: Callable[..., Client], query: str) -> None:
    refused(hosted("admin").get(f"/api/2.0/mlflow/runs/get?{query}"), query)


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ff", "%ed%a0%80", "%c3%28"])
def test_paths_that_are_no_text(hosted: Callable[..., Client], name: str) -> None:
    client = hosted("admin")
    for path in ("/api/2.0/mlflow/logged-models/", "/static-files/", "/api/2.0/mlflow-artifacts/artifacts/", "/"):
        refused(client.get(path + name), path + name)
        raw = path + unquote_to_bytes(name).decode("latin-1")
        refused(client.get("/", environ_overrides={"PATH_INFO": raw}), raw)


VALUES: list[Any] = [
    None,
    [],
    {},
    "",
    0,
    -1,
    2**31,
    2**63 - 1,
    1e308,
    "NaN",
    True,
    "x" * 70_000,
    "💥" * 300,
    "'; DROP TABLE runs; --",
    "../../etc/passwd",
    "%s%s%(a)s{0}",
    [None],
    [[]],
    ["x"],
    [{"key": None, "value": []}],
    [{"key": "k" * 5000, "value": "v" * 100_000}],
    {"a": {"b": []}},
    "eyJvZmZzZXQiOiAtMX0=",
    "eyJvZmZzZXQiOiAiYSJ9",
    "bm9uc2Vuc2U=",
    "metrics.a > ",
    "attributes.name LIKE",
    "name ILIKE '%' ESCAPE",
    "9" * 40,
]


def test_each_field_with_values_of_all_kinds(hosted: Callable[..., Client], story: dict[str, Any]) -> None:
    """A fifth of VALUES for each field, in turn."""
    client = hosted("admin")
    turn = itertools.count()
    wrong = []
    for row in SURFACE:
        if row.permission.value == "promote":
            continue
        sound = {name: story[name] for name in row.fields if name in story}
        for field in row.fields:
            for value in VALUES[next(turn) % 5 :: 5]:
                got = send(client, row, story, {**sound, field: value})
                try:
                    harmless(got, (row.method, row.path, field, str(value)[:60]))
                except AssertionError as error:
                    wrong.append(str(error)[:600])
    assert not wrong, "\n".join(wrong)


TEXTS = st.text(max_size=30) | st.sampled_from([value for value in VALUES if isinstance(value, str)])
NAMES = st.sampled_from(["key", "value", "name"]) | TEXTS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**65) | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["key", "value", "name"]) | TEXTS, inner)
    ),
    max_leaves=8,
)


def test_generated_requests(hosted: Callable[..., Client], story: dict[str, Any]) -> None:
    client = hosted("admin")
    asked = [row for row in SURFACE if row.fields and row.permission.value != "promote"]

    @seed(5)
    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(asked))
        fields = {name: story[name] for name in row.fields if name in story}
        fields |= data.draw(st.dictionaries(st.sampled_from(row.fields), JSON, min_size=1, max_size=3))
        harmless(send(client, row, story, fields), (row.method, row.path, fields))

    check()
