"""What the worker does with an export: stored once, planned, cancelled there, and tried again after lost races."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO

import pytest
from flask.testing import FlaskClient

from service.domain.errors import ConcurrentChange, Unavailable
from service.exports.records import VersionRecord
from service.exports.versions import VersionFiles, VersionSources
from service.stores.objects import S3Objects
from service.usecases import run_import
from service.usecases.import_artifacts import SMALL
from service.usecases.object_ports import ObjectInfo
from service.usecases.run_import import Importer
from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.importing import IMPORTS, archives, counted
from tests.small_exports import RUN, Document, packed, registered_model, run, version


def test_versions_of_the_same_bytes_share_them(
    places: FlaskClient, run_imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 refuses to copy an object onto itself."""
    written: list[str] = []

    def put(objects: S3Objects, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        written.append(key)
        return put_really(objects, key, data, size)

    def copy(objects: S3Objects, source: str, target: str) -> ObjectInfo:
        written.append(target)
        return copy_really(objects, source, target)

    put_really, copy_really = S3Objects.put, S3Objects.copy
    files: dict[str, bytes | Document] = {
        "model.json": registered_model(version("1"), version("2")),
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/small.bin": b"42",
        f"{RUN}/artifacts/model/large.bin": bytes(SMALL + 1),
    }
    sent = places.post(IMPORTS, data=packed(files))
    monkeypatch.setattr(S3Objects, "put", put)
    monkeypatch.setattr(S3Objects, "copy", copy)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert report["counts"]["versions"] == counted(2)
    assert len(written) == len(set(written)) == 4


@pytest.mark.parametrize("where", ["_take_in", "identified"])
def test_lost_races_do_not_refuse_an_archive(
    places: FlaskClient, parts: Parts, importer: Importer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing is wrong with it: it stays, and the job is tried again."""
    sent = places.post(IMPORTS, data=ORDERS)
    import_id = sent.get_json()["id"]

    def lose(*_: object) -> None:
        raise ConcurrentChange("Something else changed the same rows at the same time; try again.")

    with monkeypatch.context() as patch:
        patch.setattr(*((Importer, where) if where == "_take_in" else (run_import, where)), lose)
        with pytest.raises(Unavailable):
            importer.run(import_id)
    assert places.get(sent.headers["Location"]).get_json()["state"] == "running"
    assert archives(parts) == [f"imports/{import_id}/archive"]
    assert importer.run(import_id) == "done"


def test_cancelling_while_it_is_planned(
    places: FlaskClient, importer: Importer, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is claimed or stored."""
    sent = places.post(IMPORTS, data=ORDERS)
    of = VersionSources.of

    def slow(self: VersionSources, version: VersionRecord, folder: str = "") -> VersionFiles:
        places.delete(sent.headers["Location"])
        time.sleep(0.6)
        return of(self, version, folder)

    monkeypatch.setattr(VersionSources, "of", slow)
    monkeypatch.setattr("service.usecases.run_import.claim", lambda *_: pytest.fail("it went on"))
    assert importer.run(sent.get_json()["id"]) == "cancelled"


def test_what_versions_remember_is_bounded(
    places: FlaskClient, run_imports: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own copy of what is known of its run."""
    files: dict[str, bytes | Document] = {
        "model.json": registered_model(*(version(str(n)) for n in range(1, 100))),
        f"{RUN}/run.json": run(news=[{}] * 1000),
        f"{RUN}/artifacts/model/model.pkl": b"42",
    }
    monkeypatch.setattr("service.usecases.plan_draft.MAX_REMEMBERED", 5_000_000)
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    told = places.get(sent.headers["Location"]).get_json()
    assert (told["state"], told["problem"]["type"].rpartition(":")[2]) == ("refused", "too-large")
