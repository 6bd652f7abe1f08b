"""The story: a model that always answers 42, trained in one workspace, served in two environments."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable

import requests
from flask.testing import FlaskClient

from tests.conftest import export


def test_story(client: FlaskClient, run_imports: Callable[[], int]) -> None:
    assert (
        client.put("/v1/workspaces/dev", json={"kind": "databricks", "url": "https://adb.example"}).status_code == 201
    )
    for environment in ("prod", "qa"):
        assert client.put(f"/v1/environments/{environment}", json={}).status_code == 201
    sent = client.post("/v1/workspaces/dev/imports", data=export("mlflow130-tool120-model-dummy"))
    assert sent.status_code == 202, sent.text
    assert run_imports() == 1
    done = client.get(sent.headers["Location"])
    assert done.json["state"] == "done", done.text
    print(done.text)
    stage = "/v1/environments/prod/models/dummy-model/stages/Production"
    assert client.get(stage).status_code == 404
    put = client.put(stage, json={"version": 4})
    assert put.status_code == 200, put.text
    got = client.get(stage)
    assert got.json == put.json
    assert got.json["version"] == 4
    files = client.get(f"{stage}/files").json["files"]
    contents = {}
    for file in files:
        body = requests.get(file["url"], timeout=10).content
        assert hashlib.sha256(body).hexdigest() == file["sha256"]
        contents[file["path"]] = body
    archive = client.get(f"{stage}/archive")
    assert archive.headers["Content-Length"] == str(len(archive.data))
    with tarfile.open(fileobj=io.BytesIO(archive.data)) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == contents
