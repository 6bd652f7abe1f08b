"""The artifact proxy as an unmodified MLflow client, a browser and a broken connection meet it."""

from __future__ import annotations

import http.client
import io
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from service.settings import Settings
from service.stores.objects import S3Objects
from service.stores.parts import S3Parts
from service.usecases.end_unfinished import AGE, end_unfinished
from tests.e2e.conftest import Service

MIB = 1024 * 1024
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
LARGE = os.urandom(MIB) * 12


@pytest.fixture
def objects(service: Service) -> S3Objects:
    return S3Objects(Settings.from_env(service.environ).s3)


@pytest.fixture
def mlflow_client(service: Service, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", service.token)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mlflow.set_tracking_uri(service.url)
    return MlflowClient(service.url)


@pytest.fixture
def run_id(mlflow_client: MlflowClient) -> str:
    return str(mlflow_client.create_run("0").info.run_id)


def folder(tmp_path: Path) -> Path:
    (tmp_path / "sent" / "inner").mkdir(parents=True)
    (tmp_path / "sent" / "large.bin").write_bytes(LARGE)
    (tmp_path / "sent" / "empty.txt").write_bytes(b"")
    (tmp_path / "sent" / "inner" / "ä b+%.txt").write_text("small")
    return tmp_path / "sent"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=["streamed", "by parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Through the service, or, as the client's settings have it, to and from the object store directly."""
    if request.param == "by parts":
        for setting in ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"):
            monkeypatch.setenv(setting, "true")
        monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(MIB))
        for setting in ("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"):
            monkeypatch.setenv(setting, str(5 * MIB))
    return str(request.param)


def test_a_folder_makes_the_round_trip(
    mlflow_client: MlflowClient, run_id: str, tmp_path: Path, way: str, objects: S3Objects
) -> None:
    sent = folder(tmp_path)
    mlflow_client.log_artifacts(run_id, str(sent), "data")
    listed = {(item.path, item.is_dir, item.file_size) for item in mlflow_client.list_artifacts(run_id, "data")}
    assert listed == {("data/large.bin", False, len(LARGE)), ("data/empty.txt", False, 0), ("data/inner", True, None)}
    stored = next(info for info in objects.list("mlflow/") if run_id in info.key and info.key.endswith("large.bin"))
    assert ("-" in stored.etag) == (way == "by parts"), "S3 tells by the ETag what was uploaded by parts"
    got = mlflow_client.download_artifacts(run_id, "data", str(tmp_path))
    assert contents(Path(got)) == contents(sent)
    assert mlflow_client.list_artifacts(run_id, "absent") == []
    with pytest.raises(MlflowException, match="absent"):
        mlflow_client.download_artifacts(run_id, "absent.txt", str(tmp_path))


def test_uploads_that_nobody_completes_are_forgotten(service: Service, objects: S3Objects) -> None:
    answer = requests.post(
        f"{service.url}/api/2.0/mlflow-artifacts/mpu/create/loose",
        json={"path": "/somewhere/big.bin", "num_parts": 2},
        headers=service.headers,
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"
    parts = S3Parts(Settings.from_env(service.environ).s3)
    urls = [part["url"] for part in answer.json()["credentials"]]
    assert requests.put(urls[0], data=b"x" * 5 * MIB, timeout=30).status_code == 200
    assert [key for key, _ in parts.unfinished("mlflow/loose/", _later())] == ["mlflow/loose/big.bin"]
    assert end_unfinished(parts, _later) >= 1
    assert list(parts.unfinished("mlflow/", _later())) == []
    assert requests.put(urls[1], data=b"x", timeout=30).status_code == 404
    assert list(objects.list("mlflow/loose/")) == []


def _later() -> datetime:
    return datetime.now(UTC) + AGE + timedelta(minutes=1)


@pytest.fixture
def connection(service: Service) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)) as connection:
        yield connection


def test_an_upload_that_breaks_off_leaves_what_was_there(service: Service, objects: S3Objects) -> None:
    objects.put("mlflow/broken/kept", io.BytesIO(b"before"), 6)
    for name, sent in (("kept", 0), ("kept", 3 * MIB), ("new", 0), ("new", 1), ("new", 4 * MIB)):
        with closing(http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)) as connection:
            connection.putrequest("PUT", f"{ARTIFACTS}/broken/{name}")
            for header, value in (*service.headers.items(), ("Content-Length", str(5 * MIB))):
                connection.putheader(header, value)
            connection.endheaders(LARGE[:sent])
            time.sleep(0.1)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert [info.key for info in objects.list("mlflow/broken/")] == ["mlflow/broken/kept"]
        time.sleep(0.2)
    with objects.open("mlflow/broken/kept") as body:
        assert body.read() == b"before"


def test_of_uploads_at_once_one_is_whole(service: Service, objects: S3Objects) -> None:
    bodies = [bytes([number]) * (6 * MIB) for number in range(4)]

    def put(body: bytes) -> None:
        answer = requests.put(f"{service.url}{ARTIFACTS}/at-once", data=body, headers=service.headers, timeout=60)
        assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(put, body) for body in bodies]:
            done.result()
    with objects.open("mlflow/at-once") as body:
        assert body.read() in bodies


def test_several_requests_on_one_connection(service: Service, connection: http.client.HTTPConnection) -> None:
    """Bodies are read off the socket past gunicorn's own reader: each has to end where the next request begins."""
    for size in (0, 1, 8191, 70_000, 2 * MIB, 3):
        body = LARGE[:size]
        connection.request("PUT", f"{ARTIFACTS}/kept-alive", body=body, headers=service.headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {})
        connection.request("GET", f"{ARTIFACTS}/kept-alive", headers=service.headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, body)


def test_a_body_that_is_not_wanted(service: Service, connection: http.client.HTTPConnection) -> None:
    """It is refused by its head, and the connection is of use after it."""
    connection.request("PUT", f"{ARTIFACTS}/registered/{'0' * 64}/x", body=LARGE, headers=service.headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error_code"]) == (403, "PERMISSION_DENIED")
    connection.request("GET", "/healthz", headers=service.headers)
    assert connection.getresponse().status == 200


def test_a_body_of_unknown_length(service: Service) -> None:
    chunks = (LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000))
    url = f"{service.url}{ARTIFACTS}/chunked"
    assert requests.put(url, data=chunks, headers=service.headers, timeout=60).status_code == 200
    assert requests.get(url, headers=service.headers, timeout=60).content == LARGE
