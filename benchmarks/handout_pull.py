"""Pulls of one file of 1 GiB and of 2,000 files of 100 KiB, against the bare minio SDK from the same S3, in turns.

Each way writes nothing to a disk: it reads all bytes and counts them. The presigned URLs and the SDK's calls are asked
for by four threads each. The best of `ROUNDS` counts; memory is looked at in a round of its own.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import urllib3
from minio import Minio

from benchmarks.memory import Watched
from benchmarks.running import Registry, running_registry
from service.domain.environment import Environment, Place
from service.domain.identity import OPERATOR
from service.domain.layout import version_prefix
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.stores.objects import S3Objects
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.model_ports import NewVersion
from service.usecases.promote import Request, promote

PORT = 5393
MIB = 1024 * 1024
BLOCK = 1024 * 1024
THREADS = 4
ROUNDS = int(os.environ.get("ROUNDS", "2"))
SETS = {"1 x 1 GiB": (1, 1024 * MIB), "2,000 x 100 KiB": (2000, 100 * 1024)}


def main() -> None:
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        Path(folder).chmod(0o755)
        with running_registry(Path(folder) / "data", PORT) as registry:
            for number, (name, (count, size)) in enumerate(SETS.items()):
                _compare(registry, name, _fill(registry, f"m{number}", count, size), count * size)


def _fill(registry: Registry, model: str, count: int, size: int) -> Place:
    """The model's one version in prod/live."""
    objects = S3Objects(registry.settings.s3)
    engine = make_engine(registry.settings.database_url)
    store = PostgresRegistry(engine, JobQueue())
    data = os.urandom(size)
    sha256 = hashlib.sha256(data).hexdigest()
    manifest = Manifest.of(ManifestFile(f"data/{number:04}.bin", size, sha256) for number in range(count))
    for file in manifest.files:
        objects.put(version_prefix(manifest.digest) + file.path, io.BytesIO(data), size)
    place = Place("prod", model, "live")
    with store.transaction() as tx:
        tx.workspaces.put(Workspace("dev", "mlflow", "", "", utc_now()))
        tx.environments.put(Environment("prod", ("live",), "", utc_now()))
        tx.models.add_version(NewVersion(model, "dev", manifest, "", "", {}, None, {}, 1))
        promote(tx, utc_now, OPERATOR, Request(place, version=1))
    engine.dispose()
    return place


def _compare(registry: Registry, name: str, place: Place, total: int) -> None:
    url = f"{registry.url}/v1/environments/prod/models/{place.model}/stages/live"
    digest = requests.get(url, headers=registry.headers, timeout=30).json()["digest"]
    ways: dict[str, Callable[[], int]] = {
        "bare SDK": lambda: _sdk(registry, version_prefix(digest)),
        "presigned": lambda: _presigned(registry, url),
        "archive": lambda: _archive(registry, url),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for way, pull in ways.items():
            began = time.perf_counter()
            assert pull() >= total
            best[way] = max(best[way], total / MIB / (time.perf_counter() - began))
    with Watched(registry.service()) as watched:
        for way in ("presigned", "archive"):
            ways[way]()
    for way, speed in best.items():
        print(f"{name}, {way}: {speed:.0f} MiB/s, {100 * speed / best['bare SDK']:.0f}% of the SDK", flush=True)
    print(f"{name}: the service's memory +{watched.grown:.0f} MB", flush=True)


def _sdk(registry: Registry, prefix: str) -> int:
    s3 = registry.settings.s3
    http = urllib3.PoolManager(maxsize=THREADS)
    client = Minio(s3.endpoint.partition("://")[2], s3.access_key, s3.secret_key, secure=False, http_client=http)

    def read(key: str) -> int:
        response = client.get_object(s3.bucket, key)
        try:
            return sum(map(len, response.stream(BLOCK)))
        finally:
            response.close()
            response.release_conn()

    keys = [str(item.object_name) for item in client.list_objects(s3.bucket, prefix, recursive=True)]
    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(read, [key for key in keys if not key.endswith("/")]))


def _presigned(registry: Registry, url: str) -> int:
    files = requests.get(f"{url}/files", headers=registry.headers, timeout=60).json()["files"]
    http = urllib3.PoolManager(maxsize=THREADS)

    def read(file: dict[str, str]) -> int:
        response = http.request("GET", file["url"], preload_content=False)
        try:
            return sum(map(len, response.stream(BLOCK)))
        finally:
            response.release_conn()

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(read, files))


def _archive(registry: Registry, url: str) -> int:
    response = urllib3.PoolManager().request("GET", f"{url}/archive", headers=registry.headers, preload_content=False)
    assert response.status == 200
    return sum(map(len, response.stream(BLOCK)))


if __name__ == "__main__":
    main()
