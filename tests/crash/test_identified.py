"""An import whose digest only the worker finds out, ended at each step of finding out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, BinaryIO, cast

import pytest
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.domain.importing import ImportOptions, ImportState
from service.domain.layout import version_prefix
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.usecases.manage_places import put_workspace
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import RegistryStore, Transaction
from service.usecases.receive_dropped import receive_dropped
from service.usecases.receive_import import receive_import
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.conftest import export

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


@pytest.mark.parametrize("known", [False, True])
def test_ended_while_it_is_identified(parts: Parts, importer: Importer, engine: sa.Engine, known: bool) -> None:
    """An archive whose digest only the worker finds out: one import, whether the same was there before or not."""
    put_workspace(parts.store, parts.clock, OPERATOR, "dev", "mlflow", "", "")
    if known:
        first = _receive(parts)
        assert importer.run(first) is ImportState.DONE
    archive = export(EXPORT)
    parts.objects.put("drop/dev/a.tar.gz", io.BytesIO(archive), len(archive))
    dropped = receive_dropped(
        parts.store, parts.objects, parts.clock, OPERATOR, "dev", 10**9, ImportOptions(), key="drop/dev/a.tar.gz"
    ).import_
    for step in range(12):
        fuse = Fuse(step)
        broken = replace(
            importer,
            store=cast(RegistryStore, KilledStore(parts.store, fuse)),
            objects=cast(ObjectStore, KilledObjects(parts.objects, fuse)),
        )
        with suppress(Killed):
            broken.run(dropped.id)
    importer.run(dropped.id)
    with parts.store.transaction() as tx:
        done = tx.imports.get(dropped.id)
        assert [import_.id for import_ in tx.imports.list("dev", 10, None)] == [done.id]
    assert (done.state, done.id == dropped.id) == (ImportState.DONE, not known)
    assert done.archive_digest == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert parts.objects.stat("drop/dev/a.tar.gz").size == len(archive)
    _check_bytes(parts, engine)
    rows = _rows(engine)
    assert (rows["public.runs"], rows["registry.versions"], rows["public.metrics"]) == (3, 3, 42)
