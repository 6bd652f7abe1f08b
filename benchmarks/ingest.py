"""Imports of generated exports, from the request's first byte to `done`, against peers on the same Postgres and S3.

(a) 100 runs x 10 params x 10 metrics x 100 steps; (b) 10 runs x 5 metrics x 10,000 steps; (c) 1,000 artifacts of
20 kB and one of 200 MB; (d) 1, 4 and 16 times (a); (e) an archive of 2 GB and a run of a million points, for the
worker's memory. The peers: the real tool into `mlflow server`; a bare COPY of the same metric rows into the same
table with its indexes; the minio SDK putting the same files one by one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import requests
import sqlalchemy as sa
from minio import Minio

from benchmarks.exports import Export, Shape, write_export
from benchmarks.real_tool import RealTool, real_tool
from benchmarks.running import Registry, running_registry
from service.exports.archive import read_members
from service.exports.records import RunRecord
from service.exports.survey import survey
from service.stores.postgres import make_engine
from service.stores.run_spool import file_run_spool

PORT = 5398
A = Shape(runs=100, params=10, metrics=10, steps=100)
B = Shape(runs=10, params=10, metrics=5, steps=10_000)
C = Shape(runs=1, params=1, metrics=1, steps=1, files=(20_000,) * 1000 + (200_000_000,))
LARGE = Shape(runs=1, params=1, metrics=1, steps=1, files=(1_000_000_000, 1_000_000_000))
LONG = Shape(runs=1, params=1, metrics=10, steps=100_000)


def bring(registry: Registry, export: Export) -> float:
    """Seconds from the first byte of the request to the answer of the finished import."""
    url = f"{registry.url}/v1/workspaces/bench/imports"
    headers = {**registry.headers, "Prefer": "wait=300"}
    began = time.monotonic()
    with export.archive.open("rb") as body:
        answer = requests.post(url, data=body, headers=headers, timeout=900)
    took = time.monotonic() - began
    if answer.status_code != 201:
        sys.exit(answer.text)
    counts = answer.json()["report"]["counts"]
    assert counts["metrics"]["created"] == export.shape.points
    return took


class _Same:
    """Ids as they are in the export."""

    def run(self, original: str) -> str:
        return original

    def __getattr__(self, name: str) -> object:
        return self.run


def bare_copy(engine: sa.Engine, twin: Export) -> float:
    """Seconds that COPY and commit take for the metric rows of an export like the one imported, with ids of its own."""
    runs: list[RunRecord] = []
    with file_run_spool(_Same()) as spool, engine.connect() as connection:  # type: ignore[arg-type]
        with twin.archive.open("rb") as file:

            def keep(run: RunRecord) -> None:
                spool.add(run)
                runs.append(run)

            survey(read_members(file, twin.archive.stat().st_size), keep)
        experiment = connection.scalar(sa.text("SELECT max(experiment_id) FROM public.experiments"))
        insert = sa.text(
            "INSERT INTO public.runs (run_uuid, status, lifecycle_stage, source_type, experiment_id) "
            "VALUES (:run, 'FINISHED', 'active', 'LOCAL', :experiment)"
        )
        connection.execute(insert, [{"run": run.run_id, "experiment": experiment} for run in runs])
        spool.metrics.file.seek(0)
        statement = f"COPY public.metrics ({', '.join(spool.metrics.columns)}) FROM STDIN"
        cursor = connection.connection.cursor()
        os.sync()
        began = time.monotonic()
        cursor.copy_expert(statement, spool.metrics.file, 1024 * 1024)  # type: ignore[attr-defined]
        connection.commit()
        return time.monotonic() - began


def bare_puts(registry: Registry, files: list[Path]) -> float:
    s3 = registry.settings.s3
    client = Minio(s3.endpoint.split("//")[1], s3.access_key, s3.secret_key, secure=False, region=s3.region)
    began = time.monotonic()
    for number, path in enumerate(files):
        with path.open("rb") as file:
            client.put_object(s3.bucket, f"bench/{number}", file, path.stat().st_size)
    return time.monotonic() - began


def points(registry: Registry, engine: sa.Engine, tool: RealTool, place: Path, name: str, shape: Shape) -> None:
    export = write_export(place, name, shape, ord(name[0]))
    ours = bring(registry, export)
    copied = bare_copy(engine, write_export(place, f"{name}-twin", shape, ord(name[0]) + 1000))
    theirs = tool.bring(export.folder)
    assert tool.metrics(name) == shape.runs * shape.metrics
    rate = shape.points / ours
    print(f"({name}) {shape.points} points: {ours:.2f} s, {rate:,.0f} points/s")
    print(
        f"    the real tool {theirs:.1f} s: {theirs / ours:.1f} times faster than it (goal {20 if name == 'a' else 15})"
    )
    print(
        f"    bare COPY {copied:.2f} s, {shape.points / copied:,.0f} points/s: at {copied / ours:.0%} of it (goal 70%)"
    )


def artifacts(registry: Registry, place: Path) -> None:
    export = write_export(place, "c", C, 3)
    size = sum(C.files) / 1e6
    ours = bring(registry, export)
    put = bare_puts(registry, export.files)
    print(f"(c) {size:.0f} MB in {len(C.files)} files: {ours:.2f} s, {size / ours:.0f} MB/s")
    print(f"    bare SDK {put:.2f} s, {size / put:.0f} MB/s: at {put / ours:.0%} of it (goal 80%)")


def growth(registry: Registry, engine: sa.Engine, place: Path) -> None:
    worker = registry.worker()
    for times in (1, 4, 16):
        shape = Shape(A.runs * times, A.params, A.metrics, A.steps)
        export = write_export(place, f"d{times}", shape, 2000 + times)
        worker.forget_peak()
        ours = bring(registry, export)
        copied = bare_copy(engine, write_export(place, f"d{times}-twin", shape, 3000 + times))
        rate = shape.points / ours
        print(
            f"(d) {times:>2} times (a): {ours:6.2f} s, {rate:,.0f} points/s, at {copied / ours:.0%} of bare COPY; "
            f"the worker's peak {worker.peak()} MB"
        )


def memory(registry: Registry, place: Path, idle: int) -> None:
    worker = registry.worker()
    for name, shape in (("archive of 2 GB", LARGE), ("run of a million points", LONG)):
        export = write_export(place, name.replace(" ", "-"), shape, len(name), compressed=shape is LONG)
        worker.forget_peak()
        ours = bring(registry, export)
        peak = worker.peak()
        print(f"(e) {name}: {ours:.1f} s, the worker's peak {peak} MB, {peak - idle} over idle (goal 256)")


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        with running_registry(place / "data", PORT) as registry, real_tool(registry) as tool:
            made = requests.put(
                f"{registry.url}/v1/workspaces/bench", json={"kind": "mlflow"}, headers=registry.headers, timeout=30
            )
            made.raise_for_status()
            engine = make_engine(registry.settings.database_url)
            bring(registry, write_export(place, "warm", Shape(1, 1, 1, 1), 1))
            idle = registry.worker().now()
            print(f"the worker idle: {idle} MB")
            points(registry, engine, tool, place, "a", A)
            points(registry, engine, tool, place, "b", B)
            artifacts(registry, place)
            growth(registry, engine, place)
            memory(registry, place, idle)
            engine.dispose()


if __name__ == "__main__":
    main()
