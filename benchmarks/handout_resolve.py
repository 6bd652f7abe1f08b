"""Resolving and watching against peers on the same machine, in the same run.

`python -m benchmarks.handout_resolve` needs `wrk`. The peers: `mlflow server` with two workers, on a database with the
same model, asked for its alias; and a bare Flask route under the same gunicorn that answers with the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
import sqlalchemy as sa

from benchmarks.load import Load, load
from benchmarks.many_models import places, write_many
from benchmarks.running import Registry, running_registry
from service.domain.environment import Environment, Place
from service.domain.identity import OPERATOR
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.model_ports import NewVersion
from service.usecases.promote import Request, promote

PORT, BARE, MLFLOW = 5394, 5395, 5396
SECONDS = int(os.environ.get("SECONDS_EACH", "8"))
PLACE = "/v1/environments/prod/models/m/stages/live"
PROMOTIONS, MODELS, MANY = 15, 50, 10_000
ALIAS = "/api/2.0/mlflow/registered-models/alias?name=m&alias=live"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with running_registry(Path(folder) / "data", PORT) as registry:
            fill(registry)
            compare(registry, Path(folder))
            watchers(registry)
            write_many(registry)
            many(registry)


def fill(registry: Registry) -> None:
    engine = make_engine(registry.settings.database_url)
    store = PostgresRegistry(engine, JobQueue())
    with store.transaction() as tx:
        tx.workspaces.put(Workspace("dev", "mlflow", "", "", utc_now()))
        tx.environments.put(Environment("prod", ("live",), "", utc_now()))
    add_model(store, "m")
    promoted(store, "m", 1)
    engine.dispose()


def add_model(store: PostgresRegistry, name: str) -> None:
    with store.transaction() as tx:
        for number in (1, 2):
            manifest = Manifest.of([ManifestFile("MLmodel", number, f"{number:064}")])
            tx.models.add_version(NewVersion(name, "dev", manifest, "", "", {}, None, {}, number))


def promoted(store: PostgresRegistry, name: str, version: int) -> int:
    """The revision."""
    with store.transaction() as tx:
        return promote(tx, utc_now, OPERATOR, Request(Place("prod", name, "live"), version=version)).revision or 0


def compare(registry: Registry, folder: Path) -> None:
    """In turns, twice; the better of both counts for each, as something else may have run beside one."""
    answer = requests.get(registry.url + PLACE, headers=registry.headers, timeout=10)
    body = folder / "body"
    body.write_bytes(answer.content)
    known = {**registry.headers, "If-None-Match": answer.headers["ETag"]}
    with bare(registry, body) as peer, mlflow_server(registry) as mlflow:
        for connections in (8, 64):
            asked = {
                "bare Flask": (peer + PLACE, registry.headers, SECONDS),
                "resolve": (registry.url + PLACE, registry.headers, SECONDS),
                "304": (registry.url + PLACE, known, SECONDS),
                "mlflow server": (mlflow + ALIAS, {}, 4),
            }
            best: dict[str, Load] = {}
            for name in [*asked, *asked]:
                url, headers, seconds = asked[name]
                found = load(url, headers, connections, seconds)
                best[name] = max(found, best.get(name, found), key=lambda one: one.rate)
            for name, found in best.items():
                show(f"{name} at {connections}", found)
            for name in ("resolve", "304"):
                rates = [best[name].rate / best[other].rate for other in ("bare Flask", "mlflow server")]
                print(
                    f"{name} at {connections}: {100 * rates[0]:.0f}% of bare Flask, {rates[1]:.0f} times mlflow server"
                )


def watchers(registry: Registry) -> None:
    """A promotion a second, of the one model that all watch, and of one of fifty that each some watch."""
    store = PostgresRegistry(make_engine(registry.settings.database_url), JobQueue())
    idle = memory(PORT)
    alone = load(registry.url + PLACE, registry.headers, 64, SECONDS)
    for count in (1, MODELS):
        names = [f"w{number}" for number in range(count)]
        for name in names:
            add_model(store, name)
            promoted(store, name, 1)
        paths = [PLACE.replace("/m/", f"/{name}/") for name in names]
        token = registry.headers["Authorization"].removeprefix("Bearer ")
        command = [sys.executable, "-m", "benchmarks.watchers", "127.0.0.1", str(PORT), token]
        with subprocess.Popen([*command, str(PROMOTIONS + 3), *paths], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "all are there" in process.stdout.readline()
            waiting = memory(PORT)
            with ThreadPoolExecutor(1) as threads:
                beside = threads.submit(load, registry.url + PLACE, registry.headers, 64, PROMOTIONS - 1)
                written = [promote_each_second(store, names, number) for number in range(PROMOTIONS)]
            seen = [{int(key): at for key, at in json.loads(line).items()} for line in process.stdout]
        report(count, written, seen)
        print(f"  memory of the two processes: {waiting} MB, {idle} MB before")
        print(f"  resolve beside it: {100 * beside.result().rate / alone.rate:.0f}% of alone", flush=True)


def memory(port: int) -> int:
    """Megabytes that gunicorn's processes at the port have for themselves."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"127.0.0.1:{port}".encode() in (process / "cmdline").read_bytes():
                found += int(re.findall(r"Pss:\s+(\d+)", (process / "smaps_rollup").read_text())[0])
        except OSError:
            continue  # it ended meanwhile
    return found // 1024


def promote_each_second(store: PostgresRegistry, names: list[str], number: int) -> tuple[int, int, float]:
    """The number of the model, the revision and the time at which it was committed."""
    which = number % len(names)
    revision = promoted(store, names[which], 2 - (number // len(names)) % 2)
    at = time.monotonic()
    time.sleep(1)  # one promotion a second is what is measured
    return which, revision, at


def report(count: int, written: list[tuple[int, int, float]], seen: list[dict[int, float]]) -> None:
    last, lost = [], 0
    for which, revision, at in written:
        theirs = [times.get(revision) for times in seen[which::count]]
        lost += theirs.count(None)
        last.append(1000 * max((time - at for time in theirs if time is not None), default=0.0))
    last.sort()
    print(
        f"{len(seen)} watchers of {count} models, {len(written)} promotions: the last one hears after "
        f"{statistics.median(last):.0f} ms (median), {last[-1]:.0f} ms (most); {lost} not heard",
        flush=True,
    )


def many(registry: Registry) -> None:
    """The better of two, as of the empty database."""
    twice = [load(registry.url + PLACE, registry.headers, 64, SECONDS) for _ in range(2)]
    show("resolve at 64, many models", max(twice, key=lambda one: one.rate))
    for models in (100, MANY):
        paths = places(models)
        load(registry.url, registry.headers, 64, 10, paths)
        show(f"of {len(paths)} places in turn", load(registry.url, registry.headers, 64, SECONDS, paths))


def show(name: str, found: Load) -> None:
    print(f"{name:<28} {found.rate:8.0f} requests/s, p99 {found.p99:7.1f} ms", flush=True)


@contextmanager
def bare(registry: Registry, body: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:service.gunicorn_config", "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{BARE}", "benchmarks.bare:app"]
    with serving(command, {**registry.environ, "BENCH_BODY": str(body)}, f"http://127.0.0.1:{BARE}", PLACE) as url:
        yield url


@contextmanager
def mlflow_server(registry: Registry) -> Iterator[str]:
    """With the model and its alias, on a database of its own."""
    ours = sa.make_url(registry.settings.database_url).set(username="registry")
    admin = sa.create_engine(ours, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE peer"))
    admin.dispose()
    store = ours.set(database="peer").render_as_string(hide_password=False)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(MLFLOW), "--workers", "2"]
    command += ["--backend-store-uri", store]
    with serving(command, registry.environ, f"http://127.0.0.1:{MLFLOW}", "/health") as url:
        for path, body in (
            ("registered-models/create", {"name": "m"}),
            ("model-versions/create", {"name": "m", "source": "s3://bucket/m"}),
            ("registered-models/alias", {"name": "m", "alias": "live", "version": "1"}),
        ):
            requests.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=30).raise_for_status()
        yield url


@contextmanager
def serving(command: list[str], environ: dict[str, str], url: str, path: str) -> Iterator[str]:
    """A server, once it answers."""
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    if requests.get(url + path, timeout=5).ok:
                        break
                except requests.ConnectionError:
                    time.sleep(0.1)  # the server is not listening yet
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
