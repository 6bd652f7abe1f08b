"""Collecting leftovers over every registry and every object store: what goes, and what has to stay."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.domain.audit import AuditQuery
from service.domain.importing import ImportState
from service.domain.layout import (
    archive_key,
    artifact_uri,
    collected_folder,
    listing_key,
    logged_model_path,
    pending_prefix,
    run_path,
    version_prefix,
)
from service.usecases import collect_leftovers as module
from service.usecases.collect_leftovers import Collector, Garbage
from service.usecases.model_ports import RunInfo
from service.usecases.object_ports import ObjectInfo, ObjectStore
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, manifest, new_import, new_version
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


def collector(
    store: Registry, objects: ObjectStore, grace: timedelta = timedelta(), later: timedelta = timedelta(minutes=1)
) -> Collector:
    """By default, everything that is there is old."""
    return Collector(store, objects, lambda: datetime.now(UTC) + later, grace, timedelta(days=30))


def collect(store: Registry, objects: ObjectStore, grace: timedelta = timedelta()) -> int:
    """The number of objects that went; which is what was told before."""
    told = list(collector(store, objects, grace).look())
    gone = list(collector(store, objects, grace).run())
    assert [each for each in told if each.due is None] == gone
    return sum(each.objects for each in gone)


def received(store: Registry, state: ImportState, archive: str) -> str:
    new = new_import(archive)
    with store.transaction() as tx:
        tx.imports.add(new, None)
        if state is not ImportState.RECEIVED:
            tx.imports.start(new.id, at(1))
        if state.final:
            tx.imports.finish(new.id, state, datetime.now(UTC))
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


def test_what_goes_is_told(store: Registry, objects: ObjectStore) -> None:
    put(objects, *UNUSED)
    absent = version_prefix("sha256:" + "0" * 64)
    told = {each.folder: each for each in collector(store, objects).look()}
    assert told[absent] == Garbage(absent, 2, 2, "no manifest names these bytes")
    assert [each.objects for each in told.values()] == [2, 1, 2, 2, 1, 1, 1]
    assert keys(objects) == sorted(UNUSED)


def test_what_is_young_stays(store: Registry, objects: ObjectStore) -> None:
    """Its row may be on its way."""
    put(objects, *UNUSED)
    assert collect(store, objects, timedelta(hours=1)) == 0
    assert keys(objects) == sorted(UNUSED)


def test_what_is_claimed_stays(store: Registry, objects: ObjectStore) -> None:
    put(objects, *UNUSED)
    folders = {folder for key in UNUSED if (folder := collected_folder(key)) is not None}
    assert len(folders) == 7
    soon = datetime.now(UTC) + timedelta(minutes=2)
    with store.transaction() as tx:
        tx.claims.claim("a", folders, soon)
        tx.claims.claim("b", list(folders)[:1], soon)
    assert collect(store, objects) == 0
    with store.transaction() as tx:
        tx.claims.release("a")
    assert 0 < collect(store, objects) < len(UNUSED)
    assert sum(each.objects for each in collector(store, objects, later=timedelta(minutes=3)).run()) > 0
    assert keys(objects) == []


def test_what_an_import_claims_stays_while_it_runs(store: Registry, objects: ObjectStore) -> None:
    new = new_import()
    version = version_prefix("sha256:" + "0" * 64)
    with store.transaction() as tx:
        tx.imports.add(new, None)
        tx.imports.start(new.id, at(1))
        tx.claims.claim(new.id, [version], at(2))
    put(objects, archive_key(new.id), *UNUSED)
    assert collect(store, objects) == len(UNUSED) - 2
    assert keys(objects) == sorted([archive_key(new.id), *(key for key in UNUSED if key.startswith(version))])
    with store.transaction() as tx:
        tx.imports.finish(new.id, ImportState.DONE, at(2))
    assert collect(store, objects) == 3
    assert keys(objects) == []


def test_bytes_that_nothing_needs(store: Registry, objects: ObjectStore) -> None:
    with store.transaction() as tx:
        digest = tx.models.add_version(new_version()).digest
    prefix = version_prefix(digest)
    (key,) = put(objects, prefix + "model/MLmodel")
    hour = timedelta(hours=1)
    assert collect(store, objects, hour) == 0
    store.remove_version("iris", 1)
    late, later = hour * 2, hour * 3
    (told,) = collector(store, objects, hour, late).look()
    assert (told.folder, told.objects, told.size) == (prefix, 3, manifest().size)
    assert told.due is not None
    assert list(collector(store, objects, hour, late).run()) == []  # it is marked
    assert keys(objects) == [key]
    (again,) = collector(store, objects, hour, later).look()
    assert (again.folder, again.due) == (prefix, None)
    assert [each.folder for each in collector(store, objects, hour, later + hour).run()] == [prefix]
    assert keys(objects) == []
    with store.transaction() as tx:
        assert not tx.models.has_manifest(digest)
        (row,) = tx.audit.latest(AuditQuery(), 10)
    told = (row.action, row.actor, row.subject, row.after)
    assert told == ("bytes.collected", "service", digest, {"files": 3, "size": manifest().size})


def test_bytes_are_needed_again(store: Registry, objects: ObjectStore) -> None:
    with store.transaction() as tx:
        digest = tx.models.add_version(new_version()).digest
    put(objects, version_prefix(digest) + "model/MLmodel")
    store.remove_version("iris", 1)
    hour = timedelta(hours=1)
    assert list(collector(store, objects, hour).run()) == []
    with store.transaction() as tx:
        tx.claims.claim("a", [version_prefix(digest)], datetime.now(UTC) + hour)
    with store.transaction() as tx:
        tx.models.add_version(new_version())
        tx.claims.release("a")
    assert list(collector(store, objects, hour, hour * 3).run()) == []
    with store.transaction() as tx:
        assert tx.models.has_manifest(digest)


def test_an_end_between_rows_and_objects(store: Registry, objects: ObjectStore) -> None:
    """What is left are objects, which go the next time."""
    with store.transaction() as tx:
        digest = tx.models.add_version(new_version()).digest
    put(objects, version_prefix(digest) + "model/MLmodel")
    store.remove_version("iris", 1)

    class Killed(Exception):
        pass

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed):
        list(collector(store, Watched(objects, version_prefix(digest), kill)).run())  # type: ignore[arg-type]
    with store.transaction() as tx:
        assert not tx.models.has_manifest(digest)
    assert len(keys(objects)) == 1
    assert collect(store, objects) == 1


def test_what_is_referred_to_meanwhile_stays(store: Registry, objects: ObjectStore) -> None:
    """The row comes after the folder was found to be unused, and before it is deleted."""
    new = new_import()
    put(objects, archive_key(new.id))

    def receive() -> None:
        with store.transaction() as tx:
            tx.imports.add(new, None)

    watched = Watched(objects, archive_key(new.id).removesuffix("archive"), receive)
    assert list(collector(store, watched).run()) == []  # type: ignore[arg-type]
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
