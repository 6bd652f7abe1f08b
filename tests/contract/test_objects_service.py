"""What only a real object store does: presigned URLs, and how it fails."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from service.domain.errors import Unavailable
from service.embedded.parts import free_port
from service.settings import S3Settings
from service.stores.memory import MemoryObjects
from service.stores.objects import S3Objects
from tests.contract.test_objects import UNUSUAL, put, read

CALLS: dict[str, Callable[[S3Objects], object]] = {
    "put": lambda objects: put(objects, "key"),
    "put of unknown size": lambda objects: objects.put("key", io.BytesIO(b"x" * 6_000_000)),
    "open": lambda objects: read(objects, "key"),
    "open nothing": lambda objects: read(objects, "key", 0, 0),
    "stat": lambda objects: objects.stat("key"),
    "list": lambda objects: list(objects.list("")),
    "list a level": lambda objects: list(objects.list("", recursive=False)),
    "copy": lambda objects: objects.copy("key", "other"),
    "delete": lambda objects: objects.delete(["key"]),
    "check": lambda objects: objects.check(),
}


def test_a_presigned_url_is_all_a_client_needs(s3_objects: S3Objects) -> None:
    for key in ("models/model.pkl", *UNUSUAL):
        put(s3_objects, key, key.encode())
        answer = requests.get(s3_objects.presign(key, 60), timeout=10)
        assert (answer.status_code, answer.content) == (200, key.encode())


@pytest.mark.parametrize(
    ("filename", "written"),
    [("model.pkl", "model.pkl"), ('Größe 100%;"x".bin', "Gr%C3%B6%C3%9Fe%20100%25%3B%22x%22.bin")],
)
def test_a_presigned_url_names_the_file(s3_objects: S3Objects, filename: str, written: str) -> None:
    put(s3_objects, "key")
    answer = requests.get(s3_objects.presign("key", 60, filename), timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{written}"


def test_a_presigned_url_opens_nothing_else(s3_objects: S3Objects) -> None:
    put(s3_objects, "key")
    put(s3_objects, "kez")
    url = s3_objects.presign("key", 60, "a")
    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    wrong = [
        url.replace(signature, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        url.replace("/key?", "/kez?"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        url.replace("UTF-8%27%27a", "UTF-8%27%27b"),
        url.partition("?")[0],
    ]
    assert len({url, *wrong}) == 6
    assert [requests.get(each, timeout=10).status_code for each in wrong] == [403] * 5
    assert requests.put(url, data=b"overwritten", timeout=10).status_code == 403
    assert requests.delete(url, timeout=10).status_code == 403
    assert read(s3_objects, "key") == b"content"


def test_a_presigned_url_expires(s3_objects: S3Objects) -> None:
    put(s3_objects, "key")
    url = s3_objects.presign("key", 1)
    time.sleep(2.1)
    assert requests.get(url, timeout=10).status_code == 403


def test_a_presigned_url_names_the_host_that_clients_see(s3_settings: S3Settings) -> None:
    objects = S3Objects(replace(s3_settings, public_endpoint="https://files.example:8443"))
    url = objects.presign("folder/a b", 60)
    assert url.startswith(f"https://files.example:8443/{s3_settings.bucket}/folder/a%20b?")
    objects.check()  # which still goes to the endpoint


def test_a_presigned_url_of_memory_leads_nowhere() -> None:
    parts = urlsplit(MemoryObjects().presign("folder/a b", 60, "a.txt"))
    assert (parts.hostname, parts.path) == ("objects.invalid", "/folder/a%20b")


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_port_is_unavailable_soon(call: str) -> None:
    objects = S3Objects(S3Settings(f"http://127.0.0.1:{free_port()}", "key", "secret", "bucket"))
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        CALLS[call](objects)
    assert time.monotonic() - started < 5
    assert "127.0.0.1" not in caught.value.detail


def test_without_its_bucket_it_is_unavailable(s3_settings: S3Settings) -> None:
    with pytest.raises(Unavailable):
        S3Objects(replace(s3_settings, bucket="another-bucket")).check()


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_secret_is_unavailable(s3_settings: S3Settings, call: str) -> None:
    objects = S3Objects(replace(s3_settings, secret_key="wrong" * 8))
    put(S3Objects(s3_settings), "key")
    with pytest.raises(Unavailable) as caught:
        CALLS[call](objects)
    assert s3_settings.secret_key not in caught.value.detail


def test_the_bucket_is_made_once(s3_settings: S3Settings) -> None:
    objects = S3Objects(s3_settings)
    put(objects, "key")
    objects.make_bucket()
    assert read(objects, "key") == b"content"
