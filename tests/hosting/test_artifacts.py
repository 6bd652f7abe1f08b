"""The artifact proxy's answers: ranges, conditions, presigned URLs, parts, and what it refuses."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.domain.errors import NotAllowed
from service.embedded.objects import EmbeddedObjects
from service.hosting import mlflow_errors
from service.hosting.artifact_store import ArtifactPath
from service.hosting.artifacts import artifact_routes
from service.settings import S3Settings, Settings
from service.stores.objects import S3Objects
from service.wiring import Parts, make_parts

_numbers = itertools.count(1)
MIB = 1024 * 1024
ROOT = "/api/2.0/mlflow-artifacts"
BYTES = bytes(range(256)) * 10
KEY = "workspaces/w/run/artifacts/model.bin"
HEX = "a" * 64


@pytest.fixture
def parts(object_server: EmbeddedObjects) -> Parts:
    """With a bucket of its own, and a database that is not there: nothing here asks it."""
    bucket = f"artifacts-{next(_numbers)}"
    s3 = S3Settings(object_server.endpoint, object_server.access_key, object_server.secret_key, bucket)
    S3Objects(s3).make_bucket()
    return make_parts(Settings("postgresql+psycopg2://nobody@127.0.0.1:1/none", s3, "http://127.0.0.1"))


@pytest.fixture
def asked() -> list[tuple[str, bool]]:
    return []


@pytest.fixture
def proxy(parts: Parts, asked: list[tuple[str, bool]]) -> FlaskClient:
    """With one artifact, and a guard that lets nobody write below `locked/`."""

    def guard(path: ArtifactPath, write: bool) -> None:
        asked.append((path.path, write))
        if write and path.path.startswith("locked/"):
            raise NotAllowed("Not there.")

    app = Flask("test")
    mlflow_errors.install(app)
    app.register_blueprint(artifact_routes("artifacts", parts, guard), url_prefix="/api/2.0")
    parts.objects.put(f"mlflow/{KEY}", io.BytesIO(BYTES), len(BYTES))
    return app.test_client()


def test_head_and_get_tell_the_same(proxy: FlaskClient) -> None:
    got, head = proxy.get(f"{ROOT}/artifacts/{KEY}"), proxy.head(f"{ROOT}/artifacts/{KEY}")
    assert (got.status_code, got.data) == (200, BYTES)
    assert (head.status_code, head.data) == (200, b"")
    assert dict(got.headers) == dict(head.headers)
    assert got.headers["Content-Length"] == str(len(BYTES))
    assert got.headers["Accept-Ranges"] == "bytes"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"] == "sandbox"
    assert got.headers["Content-Disposition"] == "attachment"


@given(
    st.one_of(
        st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
        st.tuples(st.integers(0, 3000), st.none()),
        st.tuples(st.none(), st.integers(1, 3000)),
    )
)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_any_range(proxy: FlaskClient, asked_for: tuple[int | None, int | None]) -> None:
    first, last = asked_for
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    answer = proxy.get(f"{ROOT}/artifacts/{KEY}", headers={"Range": header})
    expected = BYTES[-(last or 0) :] if first is None else BYTES[first : None if last is None else last + 1]
    if first is not None and last is not None and last < first:
        assert (answer.status_code, answer.data) == (200, BYTES), "what is no range is ignored"
    elif expected:
        start = len(BYTES) - len(expected) if first is None else first
        assert (answer.status_code, answer.data) == (206, expected)
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(BYTES)}"
        assert answer.headers["Content-Length"] == str(len(expected))
    else:
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(BYTES)}"
        assert answer.get_json()["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "items=0-1", "bytes=x", "bytes=-0", "bytes", ""])
def test_what_is_no_single_range_is_ignored(proxy: FlaskClient, header: str) -> None:
    answer = proxy.get(f"{ROOT}/artifacts/{KEY}", headers={"Range": header})
    assert (answer.status_code, answer.data) == (200, BYTES)


def test_conditions(proxy: FlaskClient, parts: Parts) -> None:
    url = f"{ROOT}/artifacts/{KEY}"
    tag = proxy.head(url).headers["ETag"]
    assert proxy.get(url, headers={"If-None-Match": tag}).status_code == 304
    part = {"Range": "bytes=1-2"}
    assert proxy.get(url, headers={**part, "If-Range": tag}).data == BYTES[1:3]
    for other in ('"other"', f"W/{tag}", "Tue, 24 Nov 2026 00:00:00 GMT"):
        assert proxy.get(url, headers={**part, "If-Range": other}).data == BYTES
    parts.objects.put(f"mlflow/{KEY}", io.BytesIO(b"new"), 3)
    assert proxy.get(url, headers={"If-None-Match": tag}).data == b"new"


def test_presigned_download(proxy: FlaskClient) -> None:
    answer = proxy.get(f"{ROOT}/presigned/{KEY}")
    assert answer.status_code == 200
    told = answer.get_json()
    assert (told["headers"], told["file_size"]) == ({}, len(BYTES))
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert requests.get(told["url"], headers={"Range": "bytes=3-5"}, timeout=30).content == BYTES[3:6]
    missing = proxy.get(f"{ROOT}/presigned/absent")
    assert (missing.status_code, missing.get_json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_parts_become_the_artifact(proxy: FlaskClient, parts: Parts, asked: list[tuple[str, bool]]) -> None:
    made = proxy.post(f"{ROOT}/mpu/create/run/model", json={"path": "/home/me/big.bin", "num_parts": 2}).get_json()
    contents = [b"a" * 5 * MIB, b"b"]
    sent = [
        requests.put(part["url"], data=data, timeout=30)
        for part, data in zip(made["credentials"], contents, strict=True)
    ]
    done = [{"part_number": n, "etag": a.headers["ETag"], "url": "u"} for n, a in enumerate(sent, 1)]
    body = {"path": "/home/me/big.bin", "upload_id": made["upload_id"]}
    wrong = proxy.post(f"{ROOT}/mpu/complete/run/model", json={**body, "parts": [{**done[0], "etag": "0" * 32}]})
    assert (wrong.status_code, wrong.get_json()["error_code"]) == (409, "INVALID_STATE")
    assert list(parts.objects.list("mlflow/run/")) == []
    assert proxy.post(f"{ROOT}/mpu/complete/run/model", json={**body, "parts": done[::-1]}).get_json() == {}
    with parts.objects.open("mlflow/run/model/big.bin") as stored:
        assert stored.read() == b"".join(contents)
    assert asked == [("run/model/big.bin", True)] * 3
    again = proxy.post(f"{ROOT}/mpu/complete/run/model", json={**body, "parts": done})
    assert (again.status_code, again.get_json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_an_aborted_upload(proxy: FlaskClient) -> None:
    made = proxy.post(f"{ROOT}/mpu/create/run", json={"path": "C:\\Users\\me\\big.bin", "num_parts": "1"}).get_json()
    url = made["credentials"][0]["url"]
    assert "/run/big.bin?" in url
    body = {"path": "big.bin", "upload_id": made["upload_id"]}
    for _ in range(2):
        assert proxy.post(f"{ROOT}/mpu/abort/run", json=body).get_json() == {}
    assert requests.put(url, data=b"x", timeout=30).status_code == 404


@pytest.mark.parametrize("folder", ["locked", f"registered/{HEX}"])
@pytest.mark.parametrize("step", ["create", "complete", "abort"])
def test_parts_only_where_the_client_may_write(proxy: FlaskClient, folder: str, step: str) -> None:
    body = {"path": "x", "upload_id": "u", "num_parts": 1, "parts": [{"part_number": 1, "etag": "e"}]}
    answer = proxy.post(f"{ROOT}/mpu/{step}/{folder}", json=body)
    assert (answer.status_code, answer.get_json()["error_code"]) == (403, "PERMISSION_DENIED")


PART = {"part_number": 1, "etag": "e"}
BODIES: dict[str, dict[str, Any]] = {
    "no path": {"path": None},
    "a folder": {"path": "x/"},
    "dots": {"path": "a/.."},
    "no parts at all": {"num_parts": 0},
    "too many parts": {"num_parts": 10_001},
    "a text": {"num_parts": "many"},
    "a truth": {"num_parts": True},
    "no upload": {"upload_id": ""},
    "a number": {"upload_id": 5},
    "a long id": {"upload_id": "x" * 2000},
    "an id of two lines": {"upload_id": "a\nb"},
    "an empty list": {"parts": []},
    "no list": {"parts": {}},
    "a gap": {"parts": [PART, {**PART, "part_number": 3}]},
    "twice": {"parts": [PART, PART]},
    "no etag": {"parts": [{"part_number": 1, "etag": None}]},
    "markup": {"parts": [{**PART, "etag": "<Part>"}]},
    "no number": {"parts": [{**PART, "part_number": "1"}]},
}


@pytest.mark.parametrize("wrong", BODIES)
def test_bodies_that_are_refused(proxy: FlaskClient, wrong: str) -> None:
    sound = {"path": "x", "upload_id": "u", "num_parts": 1, "parts": [PART]}
    step = "create" if "num_parts" in BODIES[wrong] or "path" in BODIES[wrong] else "complete"
    refused(proxy.post(f"{ROOT}/mpu/{step}/run", json={**sound, **BODIES[wrong]}))


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b" " * (4 * MIB + 1)])
def test_bodies_that_are_no_objects(proxy: FlaskClient, data: bytes) -> None:
    refused(proxy.post(f"{ROOT}/mpu/create/run", data=data, content_type="application/json"))


HOSTILE = [
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "%2e%2e/x",
    "a/%252e%252e/x",
    "..%5Cx",
    "a\0b",
    "registered",
    "registered/short/x",
    f"registered/{HEX.upper()}/x",
    f"registered/{HEX}/../../x",
    "x" * 901,
    "ä" * 451,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths(proxy: FlaskClient, path: str, asked: list[tuple[str, bool]]) -> None:
    calls: dict[str, Callable[..., Any]] = {"GET": proxy.get, "PUT": proxy.put, "DELETE": proxy.delete}
    for call in calls.values():
        refused(call(f"{ROOT}/artifacts/{quote(path)}"))
    refused(proxy.get(f"{ROOT}/presigned/{quote(path)}"))
    if path != "a/./b":  # what names a folder may have dots
        refused(proxy.get(f"{ROOT}/artifacts", query_string={"path": path}))
    refused(proxy.post(f"{ROOT}/mpu/create/{quote(path)}", json={"path": "x"}))
    assert asked == []


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028b", "x" * 256, "ä" * 128])
def test_what_no_version_could_hold(name: str, proxy: FlaskClient, parts: Parts, asked: list[tuple[str, bool]]) -> None:
    """It is not written; what came before this was a rule can be seen and removed."""
    path = f"{ROOT}/artifacts/run/{quote(name)}"
    refused(proxy.put(path, data=b"x"))
    refused(proxy.post(f"{ROOT}/mpu/create/run", json={"path": name}))
    assert (asked, list(parts.objects.list("mlflow/run/"))) == ([], [])
    parts.objects.put(f"mlflow/run/{name}", io.BytesIO(b"x"), 1)
    assert proxy.get(path).data == b"x"
    assert proxy.delete(path).status_code == 200
    assert list(parts.objects.list("mlflow/run/")) == []


def test_a_path_of_two_lines(proxy: FlaskClient) -> None:
    assert proxy.put(f"{ROOT}/artifacts/a%0Ab", data=b"x").status_code == 404
    refused(proxy.get(f"{ROOT}/artifacts", query_string={"path": "a\nb"}))


def test_an_upload_has_no_query(proxy: FlaskClient, parts: Parts, asked: list[tuple[str, bool]]) -> None:
    for query in ("uploadId=1&partNumber=2", "x"):
        refused(proxy.put(f"{ROOT}/artifacts/{KEY}?{query}", data=b"other"))
    assert asked == [], "nothing is recorded as written"
    with parts.objects.open(f"mlflow/{KEY}") as stored:
        assert stored.read() == BYTES


@pytest.mark.parametrize("folder", ["workspaces/w/run", "workspaces/w/run/.", "./workspaces/./w/run/"])
def test_a_dot_names_the_folder_itself(proxy: FlaskClient, folder: str) -> None:
    listed = proxy.get(f"{ROOT}/artifacts", query_string={"path": folder})
    assert listed.get_json() == {"files": [{"is_dir": True, "path": "artifacts"}]}


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_folder_is_no_artifact(proxy: FlaskClient, method: str) -> None:
    refused(proxy.open(f"{ROOT}/artifacts/run/", method=method))


def refused(answer: Any) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.get_json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "mlflow/" not in answer.get_json()["message"]
