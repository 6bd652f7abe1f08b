"""The embedded object store: S3 on the loopback interface that keeps what it acknowledged."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error

from service.embedded.leftovers import mark_of, marked
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import PartError, free_port
from tests.embedded.waiting import gone, kill_all

BUCKET = "registry"


def test_objects_and_keys_survive_a_restart_even_of_a_moved_directory(tmp_path: Path) -> None:
    store = EmbeddedObjects(tmp_path / "a")
    store.start()
    keys = (store.access_key, store.secret_key)
    put(store, "models/ü 1/weights", b"42")
    store.stop()
    (tmp_path / "a").rename(tmp_path / "b")
    again = EmbeddedObjects(tmp_path / "b")
    again.start()
    try:
        assert (again.access_key, again.secret_key) == keys
        assert get(again, "models/ü 1/weights") == b"42"
    finally:
        again.stop()


def test_keys_are_private_and_needed(tmp_path: Path) -> None:
    store = EmbeddedObjects(tmp_path / "objects")
    store.start()
    try:
        files = tmp_path / "objects" / "keys.json"
        assert stat.S_IMODE(files.stat().st_mode) == 0o600
        assert json.loads(files.read_text())["secret_key"] == store.secret_key
        assert len(store.secret_key) >= 32
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            client(store, secret_key="guessed").list_buckets()
    finally:
        store.stop()


def test_path_with_spaces_and_signs(tmp_path: Path) -> None:
    store = EmbeddedObjects(tmp_path / ("long " * 30 + "x") / "it's 100%?x#y")
    store.start()
    try:
        put(store, "key", b"value")
        assert get(store, "key") == b"value"
    finally:
        store.stop()


def test_acknowledged_objects_survive_kill_9(tmp_path: Path) -> None:
    port = free_port()
    store = EmbeddedObjects(tmp_path / "objects", port)
    store.start()
    content = os.urandom(6 * 1024 * 1024)
    put(store, "large", content)
    for number in range(20):
        put(store, f"small/{number}", b"x" * number)
    kill_all(marked(mark_of(tmp_path / "objects", "objects")))
    again = EmbeddedObjects(tmp_path / "objects", port)
    again.start()
    try:
        assert again.endpoint == f"http://127.0.0.1:{port}"
        assert get(again, "large") == content
        assert [len(get(again, f"small/{number}")) for number in range(20)] == list(range(20))
    finally:
        again.stop()
        store.stop()


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss of iproute2")
def test_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    store = EmbeddedObjects(tmp_path / "objects")
    store.start()
    try:
        pids = marked(mark_of(tmp_path / "objects", "objects"))
        listing = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
        lines = [line for line in listing.splitlines() if any(f"pid={pid}," in line for pid in pids)]
        ours = [line.split()[3] for line in lines]
        assert any(store.endpoint.endswith(address) for address in ours)
        assert all(address.startswith("127.0.0.1:") for address in ours)
    finally:
        store.stop()
    assert gone(mark_of(tmp_path / "objects", "objects"))


def test_a_first_start_that_was_cut_off_is_repeated(tmp_path: Path) -> None:
    left = tmp_path / "objects" / "volume.new" / "blocks" / "registry"
    left.mkdir(parents=True)
    (left / "juicefs_uuid").write_text("of a volume that was never finished")
    store = EmbeddedObjects(tmp_path / "objects")
    store.start()
    store.stop()


def test_says_what_is_wrong_when_the_port_is_taken(tmp_path: Path) -> None:
    first = EmbeddedObjects(tmp_path / "first")
    first.start()
    try:
        second = EmbeddedObjects(tmp_path / "second", int(first.endpoint.rpartition(":")[2]))
        with pytest.raises(PartError, match="is taken by another program"):
            second.start()
    finally:
        first.stop()


def client(store: EmbeddedObjects, secret_key: str = "") -> Minio:
    secret_key = secret_key or store.secret_key
    return Minio(store.endpoint.removeprefix("http://"), store.access_key, secret_key, secure=False)


def put(store: EmbeddedObjects, key: str, content: bytes) -> None:
    s3 = client(store)
    if not s3.bucket_exists(BUCKET):
        s3.make_bucket(BUCKET)
    s3.put_object(BUCKET, key, io.BytesIO(content), len(content))


def get(store: EmbeddedObjects, key: str) -> bytes:
    response = client(store).get_object(BUCKET, key)
    try:
        return bytes(response.data)
    finally:
        response.close()
        response.release_conn()
