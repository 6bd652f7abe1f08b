"""Artifacts of 1 GiB, up and down, by an unmodified MLflow client: the registry and `mlflow server` in turns.

Both have two workers and the same Postgres and S3; all files are in memory where the machine allows it, those of the
client, of S3 and the temporary ones of `mlflow server`, so that no disk is measured. First through the server, then, as
the client's settings ask for it, by parts that go to S3 directly. `SIZE` is the MiB of the artifact, `ROUNDS` how often
each is measured, after a round that is not counted, in which the machine finds memory for all the files; the memory of
the processes is looked at in a last round of its own, since looking takes time.
"""

from __future__ import annotations

import filecmp
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import mlflow
from mlflow import MlflowClient

from benchmarks.memory import Watched
from benchmarks.mlflow_server import URL, mlflow_server
from benchmarks.running import running_registry
from service.stores.objects import S3Objects

PORT = 5396
MIB = 1024 * 1024
SIZE = int(os.environ.get("SIZE", "1024"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
WAYS = {"through the server": "false", "by parts": "true"}


@dataclass(frozen=True)
class Side:
    name: str
    url: str
    pid: int
    objects: S3Objects


@dataclass(frozen=True)
class Result:
    """MiB/s."""

    up: float
    down: float


@contextmanager
def _client_settings(direct: str) -> Iterator[None]:
    settings = {
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": direct,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": direct,
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(MIB),
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    with mock.patch.dict(os.environ, settings):
        yield


def _measure(side: Side, file: Path, target: Path) -> Result:
    mlflow.set_tracking_uri(side.url)
    client = MlflowClient(side.url)
    run = client.create_run("0").info.run_id
    began = time.perf_counter()
    client.log_artifact(run, str(file))
    sent = time.perf_counter()
    got = client.download_artifacts(run, file.name, str(target))
    done = time.perf_counter()
    assert filecmp.cmp(file, got, shallow=False)
    Path(got).unlink()
    _delete(side.objects, file.name)
    size = file.stat().st_size / MIB
    return Result(size / (sent - began), size / (done - sent))


def _delete(objects: S3Objects, name: str) -> None:
    """Files that stay would fill the memory in a few rounds."""
    objects.delete([info.key for info in objects.list("") if info.key.endswith(f"/{name}")])


def _artifact(path: Path, mib: int) -> Path:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    return path


def _compare(sides: list[Side], folder: Path) -> None:
    got = folder / "got"
    got.mkdir()
    large = _artifact(folder / "large.bin", SIZE)
    for way, direct in WAYS.items():
        with _client_settings(direct):
            for side in sides:
                _measure(side, large, got)
            rounds = [[_measure(side, large, got) for side in sides] for _ in range(ROUNDS)]
            grown = [_grown(side, large, got) for side in sides]
        means = [_mean(results) for results in zip(*rounds, strict=True)]
        for side, mean, more in zip(sides, means, grown, strict=True):
            print(
                f"{way}, {side.name:<13}: up {mean.up:4.0f} MiB/s, down {mean.down:4.0f} MiB/s, memory +{more:.0f} MB",
                flush=True,
            )
        ours, peer = means
        print(f"{way}: up {ours.up / peer.up:.1f} times, down {ours.down / peer.down:.1f} times as fast", flush=True)


def _grown(side: Side, file: Path, target: Path) -> float:
    """By how many MB the server's processes grew meanwhile."""
    with Watched(side.pid) as watched:
        _measure(side, file, target)
    return watched.grown


def _mean(results: tuple[Result, ...]) -> Result:
    """The speeds at which all of it took as long."""
    up, down = (statistics.harmonic_mean(speeds) for speeds in zip(*((r.up, r.down) for r in results), strict=True))
    return Result(up, down)


def main() -> None:
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        os.environ["TMPDIR"] = name
        folder.chmod(0o755)
        with running_registry(folder / "data", PORT) as registry, mlflow_server(registry) as server:
            os.environ["MLFLOW_TRACKING_TOKEN"] = registry.headers["Authorization"].removeprefix("Bearer ")
            objects = S3Objects(registry.settings.s3)
            sides = [
                Side("registry", registry.url, registry.service(), objects),
                Side("mlflow server", URL, server.pid, objects),
            ]
            _compare(sides, folder)


if __name__ == "__main__":
    main()
