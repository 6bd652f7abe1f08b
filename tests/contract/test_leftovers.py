"""Collecting leftovers over every registry and every object store: what goes, and what has to stay."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.domain.importing import ImportState
from service.domain.layout import (
    archive_key,
    artifact_uri,
    listing_key,
    logged_model_path,
    pending_prefix,
    run_path,
    version_prefix,
)
from service.usecases import collect_leftovers as module
from service.usecases.collect_leftovers import collect_leftovers
from service.usecases.model_ports import RunInfo
from service.usecases.object_ports import ObjectInfo, ObjectStore
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, new_import, new_version
from tests.contract.test_registry_uploads import new_upload

RUN = "0123456789abcdef" * 2
OTHER = RUN[::-1]
NOBODY = "0f0f0f0f-0000-4000-8000-000000000000"
UNUSED = [
    archive_key(NOBODY),
    listing_key(NOBODY),
    pending_prefix(NOBODY) + "MLmodel",
    version_prefix("sha256:" + "0" * 64) + "MLmodel",
    version_prefix("sha256:" + "0" * 64) + "data/weights.bin",
    f"mlflow/workspaces/dev/{OTHER}/artifacts/a.txt",
    f"mlflow/workspaces/dev/{OTHER}/artifacts/b/c.txt",
    f"mlflow/workspaces/gone/{RUN}/artifacts/a.txt",
    "mlflow/workspaces/dev/models/m-2/artifacts/MLmodel",
    "mlflow/workspaces/dev/traces/tr-2/artifacts/traces.json",
]
NOT_OURS = ["drop/dev/a.tar.gz", "mlflow/1/a/artifacts/x", "mlflow/workspaces/dev/x", "else/x"]


@pytest.fixture(autouse=True)
def _few_at_a_time(store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setattr(module, "FOLDERS", 2)
    monkeypatch.setattr(module, "KEYS", 1)


def put(objects: ObjectStore, *keys: str) -> list[str]:
    for key in keys:
        objects.put(key, io.BytesIO(b"x"), 1)
    return list(keys)


def keys(objects: ObjectStore) -> list[str]:
    return sorted(info.key for info in objects.list(""))


def collect(store: Registry, objects: ObjectStore, *, age: timedelta = timedelta(minutes=-1)) -> int:
    """What is older than `age`; by default that is everything."""
    return collect_leftovers(store, objects, datetime.now(UTC) - age)


def received(store: Registry, state: ImportState, archive: str) -> str:
    new = new_import(archive)
    with store.transaction() as tx:
        tx.imports.add(new, None)
        if state is not ImportState.RECEIVED:
            tx.imports.start(new.id, at(1))
        if state.final:
            tx.imports.finish(new.id, state, at(2))
    return archive_key(new.id)


def referred_to(store: Registry) -> list[str]:
    """A key for everything that a row can refer to."""
    store.add_run(RunInfo(RUN, "900000", "dev", artifact_uri(run_path("dev", RUN)), {}))
    store.add_logged_model(RUN, "model", artifact_uri(logged_model_path("dev", "m-1")))
    store.add_trace("tr-1")
    upload = new_upload()
    with store.transaction() as tx:
        digest = tx.models.add_version(new_version()).digest
        tx.uploads.add(upload)
    return [
        received(store, ImportState.RECEIVED, "a"),
        received(store, ImportState.FAILED, "b"),
        archive_key(upload.id),
        version_prefix(digest) + "model/MLmodel",
        f"mlflow/workspaces/dev/{RUN}/artifacts/deep/down/a.txt",
        "mlflow/workspaces/dev/models/m-1/artifacts/MLmodel",
        "mlflow/workspaces/dev/traces/tr-1/artifacts/traces.json",
    ]


def test_what_is_referred_to_stays(store: Registry, objects: ObjectStore) -> None:
    kept = put(objects, *referred_to(store), *NOT_OURS)
    ended = [received(store, state, state) for state in (ImportState.DONE, ImportState.REFUSED, ImportState.CANCELLED)]
    unused = put(objects, *UNUSED, *ended)
    assert collect(store, objects) == len(unused)
    assert keys(objects) == sorted(kept)
    assert collect(store, objects) == 0


def test_what_is_young_stays(store: Registry, objects: ObjectStore) -> None:
    """Its row may be on its way."""
    put(objects, *UNUSED)
    assert collect(store, objects, age=timedelta(hours=1)) == 0
    assert keys(objects) == sorted(UNUSED)


def test_all_stays_while_an_import_runs(store: Registry, objects: ObjectStore) -> None:
    new = new_import()
    with store.transaction() as tx:
        tx.imports.add(new, None)
        tx.imports.start(new.id, at(1))
    put(objects, archive_key(new.id), *UNUSED)
    assert collect(store, objects) == 0
    assert keys(objects) == sorted([archive_key(new.id), *UNUSED])
    with store.transaction() as tx:
        tx.imports.finish(new.id, ImportState.DONE, at(2))
    assert collect(store, objects) == len(UNUSED) + 1
    assert keys(objects) == []


def test_what_is_referred_to_meanwhile_stays(store: Registry, objects: ObjectStore) -> None:
    """The row comes after the folder was found to be unused, and before it is deleted."""
    new = new_import()
    put(objects, archive_key(new.id))

    def receive() -> None:
        with store.transaction() as tx:
            tx.imports.add(new, None)

    assert collect(store, Watched(objects, archive_key(new.id).removesuffix("archive"), receive)) == 0  # type: ignore[arg-type]
    assert keys(objects) == [archive_key(new.id)]


def test_an_upload_that_ends_is_not_kept(store: Registry, objects: ObjectStore) -> None:
    upload = new_upload()
    put(objects, archive_key(upload.id))
    with store.transaction() as tx:
        tx.uploads.add(upload)
        tx.uploads.end(upload.id)
    assert collect(store, objects) == 1


class Watched:
    """Objects, of which a folder is listed."""

    def __init__(self, objects: ObjectStore, folder: str, then: Callable[[], None]) -> None:
        self._objects = objects
        self._folder = folder
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
        if prefix == self._folder:
            self._then()
        return self._objects.list(prefix, recursive=recursive)
