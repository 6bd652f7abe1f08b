"""Imports of generated exports, from the request's first byte to `done`, against what the parts themselves take.

(a) 100 runs x 10 params x 10 metrics x 100 steps, (b) 10 runs x 5 metrics x 10,000 steps, (c) 1,000 artifacts of
20 kB and one of 200 MB; (d) four times (a). The peers, on the same Postgres and the same S3 in the same run: a bare
COPY of the same metric rows into the same table with its indexes, and the minio SDK putting the same files one by one.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import sqlalchemy as sa

from service.embedded.connection import load_environ
from service.settings import Settings
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine

PORT = 5398
URL = f"http://127.0.0.1:{PORT}"
START = 1_690_000_000_000


def run_document(rng: random.Random, params: int, metrics: int, steps: int) -> tuple[str, dict[str, object]]:
    run_id = f"{rng.getrandbits(128):032x}"
    points = {
        f"metric_{key}": [
            {"value": rng.random(), "timestamp": START + step, "step": step, "model_id": None, "run_id": None}
            for step in range(steps)
        ]
        for key in range(metrics)
    }
    info = {"run_id": run_id, "experiment_id": "1", "user_id": "bench", "status": "FINISHED"}
    info |= {"start_time": START, "end_time": START + 1000, "lifecycle_stage": "active", "run_name": "run"}  # type: ignore[dict-item]
    values = {f"param_{key}": str(rng.random()) for key in range(params)}
    return run_id, {"mlflow": {"info": info, "params": values, "metrics": points, "tags": {"mlflow.user": "bench"}}}


def make_export(path: Path, runs: int, params: int, metrics: int, steps: int, files: list[int], seed: int) -> Path:
    """A tar.gz of an export-experiment folder; `files` are the sizes of the first run's artifacts, in bytes."""
    rng = random.Random(seed)
    ids = []
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(f"export/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        for _ in range(runs):
            run_id, document = run_document(rng, params, metrics, steps)
            ids.append(run_id)
            add(f"runs/{run_id}/run.json", json.dumps(document, indent=2).encode())
        for index, size in enumerate(files):
            add(f"runs/{ids[0]}/artifacts/files/{index:05d}.bin", rng.randbytes(size))
        experiment = {"experiment_id": "1", "name": f"bench-{seed}", "lifecycle_stage": "active", "tags": {}}
        add("experiment.json", json.dumps({"mlflow": {"experiment": experiment, "runs": ids}}).encode())
    return path


@contextmanager
def registry(data: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        try:
            yield {**os.environ, **load_environ(data)}
        finally:
            process.terminate()
            process.stdout.read()


def bring(archive: Path, headers: dict[str, str]) -> float:
    """Seconds from the first byte of the request to the answer of the finished import."""
    began = time.monotonic()
    with archive.open("rb") as body:
        answer = requests.post(
            f"{URL}/v1/workspaces/bench/imports", data=body, headers={**headers, "Prefer": "wait=300"}, timeout=600
        )
    took = time.monotonic() - began
    if answer.status_code != 201:
        sys.exit(answer.text)
    return took


def bare_copy(engine: sa.Engine, seed: int, runs: int, metrics: int, steps: int) -> float:
    """Seconds that COPY takes for as many rows of the same shape into the same table with all its indexes."""
    rng = random.Random(seed)
    ids = [f"{rng.getrandbits(128):032x}" for _ in range(runs)]
    text = "".join(
        f"metric_{key}\t{rng.random()!r}\t{START + step}\t{step}\tf\t{run_id}\n"
        for run_id in ids
        for key in range(metrics)
        for step in range(steps)
    )
    with engine.connect() as connection:
        experiment = connection.scalar(sa.text("SELECT max(experiment_id) FROM experiments"))
        values = ", ".join(f"('{run_id}', 'FINISHED', 'active', 'LOCAL', {experiment})" for run_id in ids)
        insert = f"INSERT INTO runs (run_uuid, status, lifecycle_stage, source_type, experiment_id) VALUES {values}"
        connection.execute(sa.text(insert))
        cursor = connection.connection.cursor()
        began = time.monotonic()
        columns = "(key, value, timestamp, step, is_nan, run_uuid)"
        cursor.copy_expert(f"COPY metrics {columns} FROM STDIN", io.StringIO(text))  # type: ignore[attr-defined]
        connection.commit()
        return time.monotonic() - began


def bare_puts(objects: S3Objects, files: list[int]) -> float:
    blocks = [random.Random(1).randbytes(size) for size in files]
    began = time.monotonic()
    for index, block in enumerate(blocks):
        objects.put(f"bench/{index}", io.BytesIO(block), len(block))
    return time.monotonic() - began


def worker_peak(data: Path) -> int:
    """The most memory the worker ever held, in MB."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"worker" in command and str(data).encode() in (process / "environ").read_bytes():
                return int(re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text())[1]) // 1024  # type: ignore[index]
        except OSError:
            continue
    return 0


def main() -> None:
    files = [20_000] * 1000 + [200_000_000]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        with registry(data) as environ:
            token = subprocess.run(
                [sys.executable, "-m", "service.cli", "token", "create", "--name", "b", "--scope", "admin", "--plain"],
                env=environ,
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            headers = {"Authorization": f"Bearer {token}"}
            made = {"kind": "mlflow"}
            requests.put(f"{URL}/v1/workspaces/bench", json=made, headers=headers, timeout=30).raise_for_status()
            settings = Settings.from_env(environ)
            engine = make_engine(settings.database_url)
            idle = worker_peak(data)
            for name, runs, metrics, steps in (("a", 100, 10, 100), ("b", 10, 5, 10_000), ("d", 400, 10, 100)):
                points = runs * metrics * steps
                archive = make_export(Path(folder) / f"{name}.tar.gz", runs, 10, metrics, steps, [], ord(name))
                took = bring(archive, headers)
                copied = bare_copy(engine, ord(name) + 1000, runs, metrics, steps)
                print(
                    f"({name}) {points:>7} points: {took:6.2f} s, {points / took:>8.0f} points/s; "
                    f"bare COPY {copied:6.2f} s, {points / copied:>8.0f} points/s; ratio {copied / took:.2f}"
                )
            archive = make_export(Path(folder) / "c.tar.gz", 1, 1, 1, 1, files, 3)
            took = bring(archive, headers)
            put = bare_puts(S3Objects(settings.s3), files)
            size = sum(files) / 1e6
            print(
                f"(c) {size:.0f} MB in {len(files)} files: {took:.2f} s, {size / took:.0f} MB/s; "
                f"bare SDK {put:.2f} s, {size / put:.0f} MB/s; ratio {put / took:.2f}"
            )
            print(f"worker: {idle} MB idle, {worker_peak(data)} MB at its peak")
            engine.dispose()


if __name__ == "__main__":
    main()
