"""Whatever is wrong with the bytes of an archive is named in a problem, and leaves nothing behind."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace

from flask.testing import FlaskClient

from service.app import create_app
from service.settings import Settings
from service.wiring import Parts
from tests.api.bodies import MIB, Body, raw
from tests.api.conftest import ORDERS, Refuse
from tests.api.importing import IMPORTS, PACKINGS
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import RUN, Files, model_export, packed, run

NOISE = random.Random(7).randbytes(20_000)  # half of an archive of it is half of the export


def test_what_is_no_archive_is_refused_at_once(places: FlaskClient, nothing_left: Unchanged) -> None:
    bodies = (
        b"",
        b"x",
        b"hello " * 1000,
        b'{"mlflow": {}}',
        ORDERS[1:],
        b"\x1f",
        b"Rar!\x1a\x07\x00",
        b"PK",
        bytes(511),
    )
    with nothing_left():
        for body in bodies:
            document = problem(places.post(IMPORTS, data=body), 422, "archive-refused")
            assert "not an archive" in document["detail"]
        form = {"file": (io.BytesIO(ORDERS), "export.tar.gz")}
        problem(places.post(IMPORTS, data=form, content_type="multipart/form-data"), 422, "archive-refused")


def test_truncated_archives_of_each_packing(refused: Refuse) -> None:
    for packing, pack in PACKINGS.items():
        archive = pack({**model_export(), f"{RUN}/artifacts/model/weights": NOISE})
        # A tar ends in zeros, of which it may have any number beyond the first thousand.
        whole = len(archive.rstrip(b"\0")) if packing == "tar" else len(archive)
        for length in (whole // 2, whole - 5):
            document = refused(archive[:length], 422, "archive-refused")
            assert "archive" in document["detail"], packing


def test_damaged_archives(refused: Refuse) -> None:
    gz = bytearray(packed(model_export()))
    gz[-6] ^= 1
    refused(bytes(gz), 422, "archive-refused")
    refused(b"PK\3\4" + b"x" * 100, 422, "archive-refused")
    refused(b"\x1f\x8b" + b"x" * 100, 422, "archive-refused")
    document = refused(packed({**model_export(), "../escape": b""}), 422, "archive-refused", member="../escape")
    assert '".."' in document["detail"]


def test_archives_without_an_export(refused: Refuse) -> None:
    cases: tuple[Files, ...] = (
        {"readme.txt": b"hello"},
        {"manifest.json": {}, "models/models.json": {}},
        {f"{RUN}/artifacts/run.json": run()},
    )
    for files in cases:
        document = refused(packed(files), 422, "export-refused")
        assert "experiment.json, run.json, model.json or prompt.json" in document["detail"]
    refused(packed({}), 422, "export-refused")


def test_an_archive_over_the_limit(
    settings: Settings, parts: Parts, token: Callable[..., str], nothing_left: Unchanged
) -> None:
    client = create_app(replace(settings, import_max_bytes=MIB), parts).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token('admin')}"
    client.put("/v1/workspaces/dev", json={"kind": "mlflow"})
    with nothing_left():
        told = Body()
        response = client.post(IMPORTS, environ_overrides=raw(told, MIB + 1))
        problem(response, 413, "too-large", limit=MIB)
        assert told.count == 0, "the length was told: nothing had to be read"
        untold = Body()
        response = client.post(IMPORTS, environ_overrides=raw(untold, None))
        problem(response, 413, "too-large", limit=MIB)
        assert untold.count < 32 * MIB, "and without a length it ended soon after the limit"
    noise = b"\x1f\x8b" + b"x" * (MIB - 2)
    assert client.post(IMPORTS, data=noise).status_code == 202, "the limit itself is taken in"


def test_a_body_that_ends_early(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for sent in (ORDERS, ORDERS[:2000]):
            response = places.post(IMPORTS, environ_overrides=raw(io.BytesIO(sent), len(ORDERS) + 10_000))
            problem(response, 422, "invalid-input", header="Content-Length")
        response = places.post(IMPORTS, environ_overrides=raw(io.BytesIO(), 5))
        problem(response, 422, "archive-refused")
