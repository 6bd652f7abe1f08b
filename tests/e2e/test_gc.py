"""Garbage is collected all the time beside who imports, promotes and pulls: nobody ever misses a byte."""

from __future__ import annotations

import hashlib
import io
import math
import os
import random
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest
import requests
import sqlalchemy as sa

from service.domain.layout import archive_key, pending_prefix, version_prefix
from service.domain.model import Manifest, ManifestFile
from service.settings import Settings
from service.stores import tables as t
from service.stores.garbage_tables import marks
from service.stores.postgres import make_engine
from service.usecases.clock import utc_now
from service.usecases.collect_leftovers import Collector
from service.usecases.scrub import Scrubber
from service.wiring import Parts, make_parts
from tests.e2e.conftest import Service
from tests.small_exports import MLMODEL, packed, registered_model, run, version

SECONDS = float(os.environ.get("GC_SECONDS", "25"))
EACH = 8
"""Importers, and pullers."""
GRACE = timedelta(seconds=1)
WINDOW = timedelta(seconds=2)
"""How long what a stage held stays: a pull that began before a promotion ends within."""
PATIENCE = 120.0
"""Seconds more on a machine that is so slow that nothing has lain long enough."""
CONTENTS = 400
TURN = 1.0
"""Seconds until other contents are imported."""
OFTEN = 0.2
"""How often what is imported is about to be collected."""


@dataclass
class Tally:
    imports: int = 0
    pulls: int = 0
    collected: int = 0
    until: float = 0.0

    def work(self, step: Callable[[], None]) -> None:
        """Again and again until the time is over and something was collected; what fails ends all."""
        try:
            while self._goes_on():
                step()
        finally:
            self.until = -math.inf

    def _goes_on(self) -> bool:
        now = time.monotonic()
        return now < self.until or (not self.collected and now < self.until + PATIENCE)


@pytest.fixture
def parts(service: Service) -> Iterator[tuple[Parts, sa.Engine]]:
    settings = Settings.from_env(service.environ)
    engine = make_engine(settings.database_url, pool=4)
    yield make_parts(settings, engine), engine
    engine.dispose()


def bytes_of(content: int) -> dict[str, bytes]:
    made = random.Random(content)
    return {"MLmodel": MLMODEL, "data/weights.bin": made.randbytes(20_000), "é.txt": made.randbytes(10)}


def digest_of(content: int) -> str:
    files = bytes_of(content).items()
    return Manifest.of(ManifestFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files).digest


def wanted(engine: sa.Engine, by_digest: dict[str, int]) -> int:
    """The content to import next: often one that is about to be collected."""
    with engine.connect() as connection:
        marked = list(connection.scalars(sa.select(marks.c.digest)))
    if marked and random.random() < OFTEN:
        return by_digest[random.choice(marked)]
    return int(time.monotonic() / TURN) % CONTENTS


def export(model: str, content: int) -> bytes:
    run_id = uuid.uuid4().hex
    files = {f"{run_id}/artifacts/model/{path}": data for path, data in bytes_of(content).items()}
    one = registered_model(version("1", run_id), name=model)
    return packed({"model.json": one, f"{run_id}/run.json": run(run_id), **files})


def import_and_promote(service: Service, model: str, content: int) -> None:
    sent = requests.post(
        f"{service.url}/v1/workspaces/dev/imports",
        data=export(model, content),
        headers={**service.headers, "Prefer": "wait=60"},
        timeout=120,
    )
    done = sent.json()
    assert done["state"] == "done", sent.text
    (made,) = done["report"]["versions"]
    put = service.put(f"/v1/environments/prod/models/{model}/stages/Production", {"version": made["version"]})
    assert put.status_code == 200, put.text


def pull(service: Service, model: str) -> None:
    stage = f"/v1/environments/prod/models/{model}/stages/Production"
    handed = service.get(f"{stage}/files")
    if handed.status_code == 404:
        return time.sleep(0.1)
    assert handed.status_code == 200, handed.text
    for file in handed.json()["files"]:
        got = downloaded(file["url"])
        assert (got.status_code, len(got.content)) == (200, file["size"]), (file["path"], got.text[:200])
        assert hashlib.sha256(got.content).hexdigest() == file["sha256"], file["path"]
    tar = service.get(f"{stage}/archive")
    assert tar.status_code == 200, tar.text
    with tarfile.open(fileobj=io.BytesIO(tar.content)) as archive:
        assert archive.getnames() == sorted(bytes_of(0))
    return None


def downloaded(url: str) -> requests.Response:
    """S3 asks its clients to try an internal error again: one server gives it while an object is put anew."""
    for _ in range(3):
        got = requests.get(url, timeout=30)
        if got.status_code != 500:
            break
    return got


def retire(engine: sa.Engine) -> None:
    """Delete every version that a stage has held and holds no more."""
    v, left = t.versions.c, t.transitions.c
    held = sa.exists().where(t.assignments.c.model == v.model, t.assignments.c.version == v.version)
    was_held = sa.exists().where(left.model == v.model, left.previous_version == v.version)
    with engine.begin() as connection:
        gone = {"deleted_at": sa.func.now(), "deleted_by": "test"}
        connection.execute(sa.update(t.versions).where(was_held, ~held, v.deleted_at.is_(None)).values(gone))
    time.sleep(0.5)


def litter(parts: Parts) -> None:
    """What killed requests leave."""
    for key in (
        archive_key(str(uuid.uuid4())),
        pending_prefix(str(uuid.uuid4())) + "MLmodel",
        version_prefix("sha256:" + uuid.uuid4().hex * 2) + "a/b",
    ):
        parts.objects.put(key, io.BytesIO(b"x"), 1)
    time.sleep(2)


@pytest.mark.timeout(SECONDS + PATIENCE + 240)
def test_beside_imports_and_pulls(service: Service, parts: tuple[Parts, sa.Engine]) -> None:
    store, engine = parts
    service.put("/v1/workspaces/dev", {"kind": "mlflow"})
    service.put("/v1/environments/prod", {})
    models = [f"m{number}" for number in range(EACH)]
    began = time.monotonic()
    tally = Tally(until=began + SECONDS)
    by_digest = {digest_of(content): content for content in range(CONTENTS)}
    lock = threading.Lock()

    def importer(model: str) -> Callable[[], None]:
        def step() -> None:
            import_and_promote(service, model, wanted(engine, by_digest))
            with lock:
                tally.imports += 1

        return step

    def puller(model: str) -> Callable[[], None]:
        def step() -> None:
            began = time.monotonic()
            try:
                pull(service, model)
            except (AssertionError, requests.RequestException, tarfile.TarError):
                if time.monotonic() - began < WINDOW.total_seconds():
                    raise
                return  # slower than the window, which is what keeps its bytes
            with lock:
                tally.pulls += 1

        return step

    def collect() -> None:
        gone = list(collector(store, GRACE, WINDOW).run())
        tally.collected += sum(each.objects == len(bytes_of(0)) for each in gone)
        time.sleep(1)

    steps = [*map(importer, models), *map(puller, models), collect, lambda: retire(engine), lambda: litter(store)]
    with ThreadPoolExecutor(len(steps)) as pool:
        list(pool.map(tally.work, steps))
    took = time.monotonic() - began
    print(f"{took:.0f} s: {tally.imports} imports, {tally.pulls} pulls, {tally.collected} digests collected meanwhile")
    assert tally.imports >= EACH
    assert tally.pulls >= EACH
    assert tally.collected
    assert_nothing_is_left_and_nothing_is_missing(store, engine)


def collector(parts: Parts, grace: timedelta, window: timedelta, later: timedelta = timedelta()) -> Collector:
    return Collector(parts.store, parts.objects, lambda: utc_now() + later, grace, window)


def assert_nothing_is_left_and_nothing_is_missing(parts: Parts, engine: sa.Engine) -> None:
    retire(engine)
    hour = timedelta(hours=1)
    for _ in range(2):  # what the first one marks
        list(collector(parts, timedelta(), timedelta(), hour).run())
    with engine.connect() as connection:
        digests = set(connection.scalars(sa.select(t.versions.c.live_digest).where(t.versions.c.deleted_at.is_(None))))
        manifests = set(connection.scalars(sa.select(t.manifests.c.digest)))
    assert digests == manifests != set()
    kept = {f"{version_prefix(digest)}{path}" for digest in digests for path in bytes_of(0)}
    there = {info.key for info in parts.objects.list("") if not info.key.startswith("mlflow/")}
    assert {key for key in there if not key.endswith("/")} == kept
    scrubbed = list(Scrubber(parts.store, parts.objects, utc_now).run(sorted(digests)))
    assert [each.damaged for each in scrubbed] == [[] for _ in digests]
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM registry.claims")) == 0


def command(service: Service, *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments], env=service.environ, stdout=subprocess.PIPE, text=True
    )
    return done.returncode, done.stdout.splitlines()


def test_the_commands(service: Service, parts: tuple[Parts, sa.Engine]) -> None:
    objects = parts[0].objects
    service.put("/v1/workspaces/dev", {"kind": "mlflow"})
    service.put("/v1/environments/prod", {})
    import_and_promote(service, "command", CONTENTS)
    stray = f"{version_prefix('sha256:' + '0' * 64)}a"
    objects.put(stray, io.BytesIO(b"x"), 1)
    time.sleep(1.1)
    code, lines = command(service, "gc", "--dry-run", "--grace", "1s")
    assert code == 0
    assert f"would go: {stray[:-1]} (1 objects, 1 B): no manifest names these bytes" in lines
    assert [info.key for info in objects.list(stray)] == [stray]
    assert command(service, "gc") == (0, ["0 objects (0 B) are gone"])  # it is young
    code, lines = command(service, "gc", "--grace", "1s")
    assert f"gone: {stray[:-1]} (1 objects, 1 B): no manifest names these bytes" in lines
    assert list(objects.list(stray)) == []
    assert command(service, "gc", "--grace", "soon")[0] == 1
    digest = digest_of(CONTENTS)
    code, lines = command(service, "scrub", "--digest", digest)
    assert (code, lines) == (0, [lines[0]])
    assert lines[0].startswith("1 digests, 3 files, ")
    objects.delete([version_prefix(digest) + "MLmodel"])
    code, lines = command(service, "scrub")
    assert (code, f"{digest} is damaged" in lines) == (0, False)  # it was verified within the last days
    code, lines = command(service, "scrub", "--all", "--rate", "100")
    assert code == 3
    assert f"{digest} is damaged" in lines
    assert "  it is version 1 of command, in prod/Production" in lines
