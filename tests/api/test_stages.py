"""Stages: a version is put in, handed out, and its files are what was registered."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from typing import Any

import requests
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.domain.layout import version_prefix
from service.usecases.clock import utc_now
from service.wiring import Parts
from tests.api.conftest import Headers
from tests.api.matching import DIGEST, ETAG, NOW
from tests.api.problems import problem
from tests.api.traces import Unchanged

PROD = "/v1/environments/prod/models/orders/stages"
PRODUCTION = f"{PROD}/Production"


def test_a_version_is_put_into_a_stage(filled: FlaskClient) -> None:
    version = filled.get("/v1/models/orders/versions/2").get_json()
    put = filled.put(f"{PROD}/Staging", json={"version": 2, "comment": "try it"})
    assert put.status_code == 200
    assigned = {
        "environment": "prod",
        "stage": "Staging",
        "revision": 1,
        "assigned_by": "test",
        "assigned_at": NOW,
        "comment": "try it",
    }
    for changes in ("description", "withdrawn"):  # with another export, or by hand, while the stage stays as it is
        del version[changes]
    for changes in ("original_stage", "exported_at"):
        del version["lineage"][changes]
    assert put.get_json() == {**version, **assigned}
    got = filled.get(f"{PROD}/Staging")
    assert (got.status_code, got.get_json()) == (200, put.get_json())
    for response in (put, got):
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.headers["X-Model-Digest"] == version["digest"]
        assert response.headers["ETag"] == ETAG == put.headers["ETag"]
    stages = filled.get("/v1/environments/prod/stages").get_json()
    row = {name: assigned[name] for name in ("stage", "revision", "assigned_by", "assigned_at", "comment")}
    assert stages == {
        "environment": "prod",
        "stages": ["Staging", "Production", "Archived"],
        "assignments": [
            {**row, "model": "orders", "version": 1, "digest": DIGEST, "stage": "Production", "comment": ""},
            {**row, "model": "orders", "version": 2, "digest": version["digest"]},
        ],
    }
    problem(filled.get("/v1/environments/absent/stages"), 404, "environment-not-found", name="absent")


def test_each_change_is_a_revision(filled: FlaskClient, engine: sa.Engine) -> None:
    def put(number: int, comment: str = "") -> tuple[int, str]:
        response = filled.put(PRODUCTION, json={"version": number, "comment": comment})
        return response.get_json()["revision"], response.headers["ETag"]

    first, second, back = put(1, "again"), put(2), put(1)
    assert [revision for revision, _ in (first, second, back)] == [1, 2, 3]
    assert put(1, "the same again") == back, "what is there already is left as it is"
    assert len({first[1], second[1], back[1]}) == 3, "a version that comes back is a change"
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT revision, version, previous_version FROM registry.transitions ORDER BY revision")
        )
        assert [tuple(row) for row in rows] == [(1, 1, None), (2, 2, 1), (3, 1, 2)]


def test_only_changes_are_told(filled: FlaskClient) -> None:
    etag = filled.get(PRODUCTION).headers["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        same = filled.get(PRODUCTION, headers={"If-None-Match": known})
        assert (same.status_code, same.data) == (304, b"")
        assert same.headers["ETag"] == etag
        assert same.headers["Cache-Control"] == "private, no-cache"
    assert filled.get(PRODUCTION, headers={"If-None-Match": '"other"'}).status_code == 200
    filled.put(PRODUCTION, json={"version": 2})
    changed = filled.get(PRODUCTION, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.get_json()["version"]) == (200, 2)


def test_files_by_url(filled: FlaskClient) -> None:
    version = filled.get(PRODUCTION).get_json()
    response = filled.get(f"{PRODUCTION}/files")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["ETag"] == f'"{version["digest"]}"'
    body = response.get_json()
    files = body.pop("files")
    told = {"model": "orders", "version": 1, "digest": version["digest"], "expires_in": 900, "signatures": []}
    assert body == told
    assert [file["path"] for file in files] == ["MLmodel", "model.pkl"]
    for file in files:
        got = requests.get(file["url"], timeout=10)
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"]
        assert len(got.content) == file["size"]
        assert set(file) == {"path", "size", "sha256", "url"}


def test_files_as_one_archive(filled: FlaskClient) -> None:
    version = filled.get(PRODUCTION).get_json()
    archive = filled.get(f"{PRODUCTION}/archive")
    digest = version["digest"]
    assert archive.status_code == 200
    assert archive.content_type == "application/x-tar"
    assert archive.headers["Content-Length"] == str(len(archive.data))
    assert archive.headers["Content-Disposition"] == f'attachment; filename="{digest.replace(":", "-")}.tar"'
    assert archive.headers["X-Model-Digest"] == digest
    assert archive.headers["Cache-Control"] == "private, no-cache"
    with tarfile.open(fileobj=io.BytesIO(archive.data)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        assert {(member.uid, member.gid, member.uname, member.mtime, member.mode) for member in tar} == {
            (0, 0, "", 0, 0o644)
        }
    assert found["model.pkl"] == b"42"
    assert set(found) == {"MLmodel", "model.pkl"}
    assert filled.get(f"{PRODUCTION}/archive").data == archive.data, "the same bytes each time"
    same = filled.get(f"{PRODUCTION}/archive", headers={"If-None-Match": archive.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    head = filled.head(f"{PRODUCTION}/archive")
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(archive.data)))


def test_damaged_files_are_never_handed_out_whole(filled: FlaskClient, parts: Parts) -> None:
    digest = filled.get(PRODUCTION).get_json()["digest"]
    key = version_prefix(digest) + "model.pkl"
    for data in (b"66", b"4", b"421"):
        parts.objects.put(key, io.BytesIO(data), len(data))
        problem(filled.get(f"{PRODUCTION}/archive"), 409, "damaged", file="model.pkl", digest=digest)
        with parts.store.transaction() as tx:
            assert tx.damages.clear(digest, utc_now())
    parts.objects.delete([key])
    problem(filled.get(f"{PRODUCTION}/archive"), 409, "damaged", file="model.pkl", digest=digest)


ABSENT: list[tuple[str, str, dict[str, str]]] = [
    ("/v1/environments/absent/models/orders/stages/Production", "environment", {"name": "absent"}),
    ("/v1/environments/prod/models/absent/stages/Production", "model", {"name": "absent"}),
    ("/v1/environments/prod/models/orders/stages/absent", "stage", {"name": "absent"}),
    ("/v1/environments/prod/models/orders/stages/production", "stage", {"name": "production"}),
    ("/v1/environments/prod/models/orders/stages/None", "stage", {"name": "None"}),
    ("/v1/environments/prod/models/orders/stages/Staging", "assignment", {"name": "Staging"}),
    ("/v1/environments/qa/models/orders/stages/Production", "assignment", {"name": "Production"}),
]


def test_what_is_not_there(filled: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for path, kind, where in ABSENT:
            for below in ("", "/files", "/archive"):
                problem(filled.get(path + below), 404, f"{kind}-not-found", kind=kind, **where)
            if kind != "assignment":
                problem(filled.put(path, json={"version": 1}), 404, f"{kind}-not-found", kind=kind, **where)
        problem(filled.put(PRODUCTION, json={"version": 3}), 404, "version-not-found", kind="version", name="3")


def test_bodies_of_the_wrong_shape(filled: FlaskClient, nothing_left: Unchanged) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "version"),
        ({"version": None}, "version"),
        ({"version": "1"}, "version"),
        ({"version": 1.5}, "version"),
        ({"version": True}, "version"),
        ({"version": 0}, "version"),
        ({"version": -1}, "version"),
        ({"version": 2**31}, "version"),
        ({"version": 10**400}, "version"),
        ({"version": 2, "comment": "x" * 5001}, "comment"),
        ({"version": 2, "comment": None}, "comment"),
        ({"version": 2, "stage": "Staging"}, "stage"),
    ]
    with nothing_left():
        for body, field in wrong:
            document = problem(filled.put(PRODUCTION, json=body), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [field]
    assert filled.get(PRODUCTION).get_json()["version"] == 1


def test_who_promotes_is_recorded(filled: FlaskClient, caller: Callable[[str], Headers]) -> None:
    put = filled.put(PRODUCTION, json={"version": 2}, headers=dict(caller("promote:prod")))
    assert (put.status_code, put.get_json()["assigned_by"]) == (200, "test")


def test_an_environment_of_its_own_stages(filled: FlaskClient) -> None:
    filled.put("/v1/environments/edge", json={"stages": ["Live 1.0"]})
    path = "/v1/environments/edge/models/orders/stages/Live%201.0"
    assert filled.put(path, json={"version": 2}).get_json()["stage"] == "Live 1.0"
    assert filled.get(path).get_json()["version"] == 2
    problem(filled.get(path.replace("Live%201.0", "Production")), 404, "stage-not-found")
