"""An import that is ended anywhere comes to the same result: nothing lost, nothing doubled, nothing half."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, cast

import pytest
import requests
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.domain.importing import ImportOptions, ImportState
from service.domain.layout import version_prefix
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.usecases.manage_places import put_workspace
from service.usecases.ports import ObjectInfo, ObjectStore, RegistryStore, Transaction
from service.usecases.receive_import import receive_import
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.conftest import EXPORTS, export
from tests.e2e.conftest import Service

EXPORT = "mlflow317-master-model-orders"


class Killed(BaseException):
    """Stands for kill -9: nothing in the service may catch it."""


class Fuse:
    """Lets `left` steps pass and ends everything at the next."""

    def __init__(self, left: int) -> None:
        self.left = left

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


class KilledObjects:
    """The real store; the process dies before or in the middle of a put, or before a copy or a read."""

    def __init__(self, objects: ObjectStore, fuse: Fuse) -> None:
        self._objects = objects
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        self._fuse.step()
        done = self._objects.put(key, data, size)
        self._fuse.step()
        return done

    def delete(self, keys: list[str]) -> None:
        self._fuse.step()
        self._objects.delete(keys)


class KilledStore:
    """The real store; the process dies at the beginning of a transaction, before its commit, or right after it."""

    def __init__(self, store: RegistryStore, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._fuse.step()
        with self._store.transaction() as tx:
            yield tx
            self._fuse.step()
        self._fuse.step()


def _rows(engine: sa.Engine) -> dict[str, int]:
    tables = [*m.ALL, t.runs, t.experiments, t.logged_models, t.manifests, t.models, t.versions]
    with engine.connect() as connection:
        return {
            f"{table.schema}.{table.name}": connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in tables
        }


def _receive(parts: Parts) -> str:
    body = io.BytesIO(export(EXPORT))
    received = receive_import(
        parts.store, parts.objects, parts.clock, OPERATOR, "dev", body, None, 10**9, ImportOptions()
    )
    return received.import_.id


def _check_bytes(parts: Parts, engine: sa.Engine) -> None:
    """Every version's files are there, byte for byte, and no archive is left."""
    with engine.connect() as connection:
        manifests = connection.execute(sa.select(t.manifests)).all()
    assert len(manifests) == 3
    for manifest in manifests:
        for file in manifest.files:
            with parts.objects.open(version_prefix(manifest.digest) + file["path"]) as body:
                assert hashlib.sha256(body.read()).hexdigest() == file["sha256"]
    assert list(parts.objects.list("imports/")) == []


STEPS = 90  # more than the import takes: the last ones must find it done


@pytest.mark.parametrize("first", range(0, STEPS, 10))
def test_ended_at_every_step(parts: Parts, importer: Importer, engine: sa.Engine, first: int) -> None:
    """Ten kills one after another, at ten neighbouring steps, and then one attempt to its end."""
    put_workspace(parts.store, parts.clock, "dev", "mlflow", "", "")
    import_id = _receive(parts)
    before = _rows(engine)
    for step in range(first, first + 10):
        fuse = Fuse(step)
        broken = replace(
            importer,
            store=cast(RegistryStore, KilledStore(parts.store, fuse)),
            objects=cast(ObjectStore, KilledObjects(parts.objects, fuse)),
        )
        try:
            broken.run(import_id)
        except Killed:
            with parts.store.transaction() as tx:
                state = tx.imports.get(import_id).state
            assert (_rows(engine) == before) is (state is not ImportState.DONE)
    importer.run(import_id)
    with parts.store.transaction() as tx:
        done = tx.imports.get(import_id)
    assert done.state is ImportState.DONE
    counts = done.report["counts"] if done.report else {}
    assert {kind: counts[kind]["created"] for kind in ("runs", "versions", "logged_models", "metrics")} == {
        "runs": 3,
        "versions": 3,
        "logged_models": 3,
        "metrics": 42,
    }
    parts.objects.delete([done.archive_key])  # an end between the commit and the cleaning up may leave it
    _check_bytes(parts, engine)
    rows = _rows(engine)
    assert (rows["public.runs"], rows["registry.runs"], rows["registry.versions"]) == (3, 3, 3)
    assert rows["public.metrics"] == 42


@pytest.mark.slow
def test_worker_killed_for_real(service: Service) -> None:
    """kill -9 of the worker while it works; another one takes the import up when the first is found dead."""
    assert service.put("/v1/workspaces/killed", {"kind": "mlflow"}).status_code == 201
    extra = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "worker"], env=service.environ, stderr=subprocess.DEVNULL
    )
    try:
        archive = EXPORTS / "mlflow130-tool120-experiment-unicode-edge.tar.gz"
        place = f"{service.url}/v1/workspaces/killed/imports"
        sent = requests.post(place, data=archive.read_bytes(), headers=service.headers, timeout=30)
        assert sent.status_code == 202
        time.sleep(0.3)  # whichever of the two has it is at work now; the one that is ours dies
        extra.kill()
        until = time.monotonic() + 60
        while (state := service.get(sent.headers["Location"]).json()["state"]) in ("received", "running"):
            assert time.monotonic() < until, state
            time.sleep(0.2)
        assert state == "done"
    finally:
        extra.kill()
        extra.wait()
