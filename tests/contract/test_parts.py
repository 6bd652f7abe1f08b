"""Multipart uploads of every store: parts in any order and twice, joined once, or forgotten."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests

from service.domain.errors import Conflict, NotFound, Unavailable
from service.domain.uploading import MIN_PART
from service.embedded.parts import free_port
from service.settings import S3Settings
from service.stores.memory import MemoryObjects
from service.stores.memory_parts import MemoryParts
from service.stores.objects import S3Objects
from service.stores.parts import S3Parts
from service.usecases.object_ports import ObjectStore, PartInfo, PartStore
from tests.contract.conftest import fresh_bucket
from tests.contract.test_objects import put, read, require_absent

KEY = "imports/one/archive"
MIB = 1024 * 1024
LARGE = bytes(range(256)) * (5 * 4 * 1024)
"""5 MiB: S3 takes no smaller part but the last."""
Send = Callable[[str, int, bytes], None]


@dataclass(frozen=True)
class Parted:
    """`send(upload, number, content)` is what a client does with a part's URL."""

    parts: PartStore
    objects: ObjectStore
    send: Send


@pytest.fixture(params=["memory", "object_server", "seaweedfs"], ids=["memory", "embedded", "seaweedfs"])
def parted(request: pytest.FixtureRequest) -> Iterator[Parted]:
    if request.param == "memory":
        objects = MemoryObjects()
        memory = MemoryParts(objects)
        yield Parted(memory, objects, lambda upload, number, content: memory.put(KEY, upload, number, content))
        return
    with fresh_bucket(request.getfixturevalue(request.param)) as settings:
        parts = S3Parts(settings)

        def send(upload: str, number: int, content: bytes) -> None:
            answer = requests.put(parts.presign(KEY, upload, number, 60), data=content, timeout=30)
            assert answer.status_code == 200, answer.text

        yield Parted(parts, S3Objects(settings), send)


def test_parts_become_one_object(parted: Parted) -> None:
    upload = parted.parts.begin(KEY)
    assert parted.parts.parts(KEY, upload) == []
    for number, content in ((3, b"end"), (1, LARGE), (2, LARGE[::-1])):
        parted.send(upload, number, content)
    found = parted.parts.parts(KEY, upload)
    assert [(part.number, part.size) for part in found] == [(1, len(LARGE)), (2, len(LARGE)), (3, 3)]
    assert len({part.etag for part in found}) == 3
    require_absent(parted.objects, KEY)
    assert list(parted.objects.list("imports/")) == []
    parted.parts.join(KEY, upload, found)
    assert read(parted.objects, KEY) == LARGE + LARGE[::-1] + b"end"
    with pytest.raises(NotFound) as caught:
        parted.parts.parts(KEY, upload)
    assert caught.value.where["kind"] == "upload"


def test_a_part_sent_again_replaces_the_first(parted: Parted) -> None:
    upload = parted.parts.begin(KEY)
    parted.send(upload, 1, b"first")
    time.sleep(1.1)
    parted.send(upload, 1, b"second")
    found = parted.parts.parts(KEY, upload)
    assert [(part.number, part.size) for part in found] == [(1, 6)]
    parted.parts.join(KEY, upload, found)
    assert read(parted.objects, KEY) == b"second"


def test_what_is_ended_is_gone(parted: Parted) -> None:
    upload = parted.parts.begin(KEY)
    parted.send(upload, 1, b"first")
    found = parted.parts.parts(KEY, upload)
    for _ in range(2):
        parted.parts.end(KEY, upload)
    for call in (parted.parts.parts, lambda key, upload: parted.parts.join(key, upload, found)):
        with pytest.raises(NotFound):
            call(KEY, upload)
    require_absent(parted.objects, KEY)


def test_ending_leaves_other_uploads_and_objects(parted: Parted) -> None:
    put(parted.objects, KEY, b"as it was")
    first, second = parted.parts.begin(KEY), parted.parts.begin(KEY)
    assert first != second
    parted.send(second, 1, b"content")
    parted.parts.end(KEY, first)
    assert read(parted.objects, KEY) == b"as it was"
    parted.parts.join(KEY, second, parted.parts.parts(KEY, second))
    assert read(parted.objects, KEY) == b"content"


def test_what_nobody_completes_is_found(parted: Parted) -> None:
    before = datetime.now(UTC)
    assert list(parted.parts.unfinished("imports/", before)) == []
    joined, ended, kept = (parted.parts.begin(KEY) for _ in range(3))
    parted.send(joined, 1, b"content")
    parted.parts.join(KEY, joined, parted.parts.parts(KEY, joined))
    parted.parts.end(KEY, ended)
    other = parted.parts.begin("mlflow/one")
    later = before + timedelta(hours=1)
    assert list(parted.parts.unfinished("imports/", later)) == [(KEY, kept)]
    assert list(parted.parts.unfinished("mlflow/", later)) == [("mlflow/one", other)]
    assert list(parted.parts.unfinished("models/", later)) == []
    assert list(parted.parts.unfinished("imports/", before - timedelta(hours=1))) == []


def test_an_object_of_another_put_is_not_read(parted: Parted) -> None:
    first = put(parted.objects, "drop/one", b"first")
    with parted.objects.open("drop/one", 1, 2, first.etag) as body:
        assert body.read() == b"ir"
    put(parted.objects, "drop/one", b"other")
    for length in (None, 2, 0):
        with pytest.raises(Conflict) as caught, parted.objects.open("drop/one", 1, length, first.etag):
            pass
        assert caught.value.where["key"] == "drop/one"


def test_a_url_is_of_one_part_alone(s3_settings: S3Settings) -> None:
    parts, objects = S3Parts(s3_settings), S3Objects(s3_settings)
    upload, other = parts.begin(KEY), parts.begin("imports/two/archive")
    url = parts.presign(KEY, upload, 1, 60)
    wrong = [
        url.replace("partNumber=1", "partNumber=2"),
        url.replace(upload, other),
        url.replace("/one/", "/two/"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"),
        url.replace("&partNumber=1", "").replace(f"&uploadId={upload}", ""),
    ]
    assert url not in wrong
    assert [requests.put(each, data=b"x", timeout=10).status_code for each in wrong] == [403] * len(wrong)
    assert requests.get(url, timeout=10).status_code == 403
    assert list(itertools.chain(parts.parts(KEY, upload), objects.list(""))) == []
    assert requests.put(url, data=b"x", timeout=10).status_code == 200
    parts.end(KEY, upload)
    assert requests.put(url, data=b"x", timeout=10).status_code == 404


def test_a_url_names_the_host_that_clients_see(s3_settings: S3Settings) -> None:
    parts = S3Parts(replace(s3_settings, public_endpoint="https://files.example:8443"))
    url = parts.presign(KEY, parts.begin(KEY), 7, 60)
    assert url.startswith(f"https://files.example:8443/{s3_settings.bucket}/{KEY}?")


def test_a_url_of_memory_leads_nowhere() -> None:
    url = urlsplit(MemoryParts(MemoryObjects()).presign(KEY, "upload", 7, 60))
    assert (url.hostname, url.path) == ("objects.invalid", f"/{KEY}")
    assert "partNumber=7" in url.query


CALLS: dict[str, Callable[[S3Parts], object]] = {
    "begin": lambda parts: parts.begin(KEY),
    "parts": lambda parts: parts.parts(KEY, "upload"),
    "join": lambda parts: parts.join(KEY, "upload", [PartInfo(1, MIN_PART, "etag")]),
    "end": lambda parts: parts.end(KEY, "upload"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_port_is_unavailable(call: str) -> None:
    with pytest.raises(Unavailable):
        CALLS[call](S3Parts(S3Settings(f"http://127.0.0.1:{free_port()}", "key", "secret", "bucket")))
