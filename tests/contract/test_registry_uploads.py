"""Uploads of every registry, and imports whose archive is hashed after they were received."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from service.domain.errors import ConcurrentChange, Conflict, InUse, NotFound
from service.domain.importing import Import, ImportOptions, ImportSource, ImportState
from service.domain.uploading import Upload, UploadState
from tests.contract.registries import Registry
from tests.contract.samples import at, fill, new_import, workspace
from tests.contract.test_registry_imports import NO_IDS, add, finish, get

SHA = "a" * 64
DIGEST = f"sha256:{SHA}"


def new_upload(minutes: int = 0, **changed: Any) -> Upload:
    values: dict[str, Any] = {"workspace": "dev", "size": 100, "sha256": SHA, **changed}
    return Upload(
        id=str(uuid.uuid4()),
        part_size=16,
        multipart="one",
        state=UploadState.OPEN,
        created_by="ci",
        created_at=at(minutes),
        expires_at=at(minutes + 60),
        **values,
    )


def begin(store: Registry, new: Upload) -> Upload:
    with store.transaction() as tx:
        return tx.uploads.add(new)


def unfinished(store: Registry, minutes: int) -> list[str]:
    with store.transaction() as tx:
        return [upload.id for upload in tx.uploads.unfinished(at(minutes))]


@pytest.fixture(autouse=True)
def _workspaces(store: Registry) -> None:
    fill(store)
    with store.transaction() as tx:
        tx.workspaces.put(workspace("other"))


def test_begin_and_complete(store: Registry) -> None:
    new = new_upload()
    assert begin(store, new) == new
    with store.transaction() as tx:
        assert tx.uploads.get("dev", new.id) == new
        assert (tx.uploads.count_open("dev"), tx.uploads.count_open("other")) == (1, 0)
        assert tx.uploads.complete(new.id)
    with store.transaction() as tx:
        assert tx.uploads.get("dev", new.id) == replace(new, state=UploadState.COMPLETED)
        assert not tx.uploads.complete(new.id)
        assert not tx.uploads.end(new.id)
        tx.uploads.delete(new.id)
        assert tx.uploads.get("dev", new.id).state is UploadState.COMPLETED
        assert tx.uploads.count_open("dev") == 0
    assert unfinished(store, 1000) == []


def test_of_another_workspace_it_is_not_there(store: Registry) -> None:
    new = begin(store, new_upload())
    for place, upload_id in (("other", new.id), ("absent", new.id), *(("dev", each) for each in NO_IDS)):
        with store.transaction() as tx, pytest.raises(NotFound) as caught:
            tx.uploads.get(place, upload_id)
        assert caught.value.where["kind"] == "upload"


def test_the_same_announced_archive_is_gone_on_with(store: Registry) -> None:
    first = begin(store, new_upload())
    assert begin(store, new_upload(1)) == first
    others = [new_upload(sha256="b" * 64), new_upload(size=101), new_upload(workspace="other")]
    unannounced = [new_upload(sha256=""), new_upload(sha256="")]
    for each in (*others, *unannounced):
        assert begin(store, each) == each
    with store.transaction() as tx:
        assert tx.uploads.complete(first.id)
    second = new_upload(2)
    assert begin(store, second) == second


def test_ending(store: Registry) -> None:
    new = begin(store, new_upload())
    with store.transaction() as tx:
        assert tx.uploads.end(new.id)
    with store.transaction() as tx:
        assert not tx.uploads.end(new.id)
        assert not tx.uploads.complete(new.id)
        with pytest.raises(NotFound):
            tx.uploads.get("dev", new.id)
    assert unfinished(store, 0) == [new.id]
    with store.transaction() as tx:
        tx.uploads.delete(new.id)
    assert unfinished(store, 1000) == []


def test_unfinished_are_those_that_expired(store: Registry) -> None:
    second, first = begin(store, new_upload(1)), begin(store, new_upload(sha256=""))
    assert unfinished(store, 60) == []
    assert unfinished(store, 61) == [first.id]
    assert unfinished(store, 62) == [first.id, second.id]


def test_it_keeps_its_workspace(store: Registry) -> None:
    begin(store, new_upload(workspace="other"))
    with pytest.raises(InUse), store.transaction() as tx:
        tx.workspaces.delete("other")
    with pytest.raises(Conflict):
        begin(store, new_upload(workspace="absent"))


# --- imports that are identified


def unhashed(name: str, sha: str = SHA, **changed: Any) -> Import:
    source = ImportSource(sha256=sha, key="drop/dev/a.tar", etag="e")
    return replace(new_import(name), key=f"upload {name}", archive_digest="", source=source, **changed)


def identify(store: Registry, import_: Import) -> Import:
    key = import_.options.key(import_.workspace, DIGEST)
    with store.transaction() as tx:
        return tx.imports.identify(import_.id, import_.attempts, DIGEST, key)


def start(store: Registry, import_: Import) -> Import:
    with store.transaction() as tx:
        started = tx.imports.start(import_.id, at(1))
    assert started is not None
    return started


def test_identified(store: Registry) -> None:
    new = add(store, unhashed("a"))
    assert get(store, new.id) == new
    known = identify(store, start(store, new))
    assert (known.id, known.archive_digest, known.state) == (new.id, DIGEST, ImportState.RUNNING)
    assert get(store, new.id) == known
    assert identify(store, known) == known, "a second attempt"
    assert finish(store, new.id, ImportState.DONE)


@pytest.mark.parametrize("done", [False, True])
def test_the_same_archive_is_one_import(store: Registry, done: bool) -> None:
    first, second = add(store, unhashed("a")), add(store, unhashed("b"))
    assert first.id != second.id
    known = identify(store, start(store, first))
    if done:
        assert finish(store, first.id, ImportState.DONE)
        known = get(store, first.id)
    started = start(store, second)
    assert identify(store, started) == known
    assert get(store, second.id) == known
    with store.transaction() as tx:
        assert [each.id for each in tx.imports.list("dev", 10, None)] == [first.id]
        assert tx.imports.start(second.id, at(2)) is None
        assert tx.imports.progress(second.id, 1, {"bytes": 1}) is False
        assert not tx.imports.finish(second.id, ImportState.FAILED, at(3))
    assert get(store, first.id) == known
    assert identify(store, started) == known, "a second attempt"


def test_one_that_was_turned_away_is_not_the_same(store: Registry) -> None:
    first, second = add(store, unhashed("a")), add(store, unhashed("b"))
    identify(store, start(store, first))
    assert finish(store, first.id, ImportState.REFUSED)
    assert identify(store, start(store, second)).id == second.id


def test_the_request_is_known_by_its_first_key_too(store: Registry) -> None:
    first = add(store, unhashed("a"), "key")
    known = identify(store, start(store, first))
    assert add(store, unhashed("a"), "key") == known
    assert add(store, unhashed("a")) == known
    with pytest.raises(Conflict):
        add(store, unhashed("b", sha="b" * 64), "key")
    assert list(store.queued()) == [first.id]


# --- the same Idempotency-Key for what nobody has hashed yet


@pytest.mark.parametrize("announced", [SHA, ""])
def test_an_idempotency_key_of_the_same_archive(store: Registry, announced: str) -> None:
    first = add(store, unhashed("a"), "key")
    known = identify(store, start(store, first))
    second = add(store, unhashed("b", sha=announced), "key")
    assert second.id != first.id
    assert get(store, second.id) == second
    assert identify(store, start(store, second)) == known
    assert get(store, second.id) == known


def test_an_idempotency_key_of_another_archive(store: Registry) -> None:
    first = add(store, unhashed("a", sha=""), "key")
    second = start(store, add(store, unhashed("b", sha=""), "key"))
    with pytest.raises(ConcurrentChange):
        identify(store, second)
    running = start(store, first)
    with store.transaction() as tx:
        tx.imports.identify(first.id, running.attempts, f"sha256:{'b' * 64}", "other key")
    with pytest.raises(Conflict) as refused:
        identify(store, second)
    assert refused.value.where == {"header": "Idempotency-Key", "key": "key"}
    assert finish(store, first.id, ImportState.REFUSED)
    assert identify(store, second).id == second.id, "the key is free"


def test_an_idempotency_key_with_other_options(store: Registry) -> None:
    add(store, unhashed("a", sha=""), "key")
    for other in (
        unhashed("b", sha="", options=ImportOptions(model_prefix="x-")),
        replace(new_import("c"), archive_digest=DIGEST),
    ):
        with pytest.raises(Conflict) as refused:
            add(store, other, "key")
        assert refused.value.where == {"header": "Idempotency-Key", "key": "key"}
