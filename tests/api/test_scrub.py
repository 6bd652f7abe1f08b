"""Stored bytes are verified, and each that is damaged is named."""

from __future__ import annotations

import io
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO

import pytest
from flask.testing import FlaskClient

from service.domain.environment import Place
from service.domain.errors import NotFound, Unavailable
from service.domain.layout import version_prefix
from service.housekeeping import print_scrubbed
from service.usecases.clock import utc_now
from service.usecases.scrub import DamagedFile, Pace, Scrubbed, Scrubber
from service.wiring import Parts
from tests.api.conftest import Send, model_of

HELD = Place("prod", "orders", "Production")


@pytest.fixture
def scrubber(filled: FlaskClient, parts: Parts) -> Scrubber:
    return Scrubber(parts.store, parts.objects, parts.clock, threads=2)


def digest(client: FlaskClient, version: int = 1) -> str:
    return str(client.get(f"/v1/models/orders/versions/{version}").get_json()["digest"])


def put(parts: Parts, key: str, data: bytes) -> None:
    parts.objects.put(key, io.BytesIO(data), len(data))


def test_sound_bytes(filled: FlaskClient, scrubber: Scrubber) -> None:
    first, second = digest(filled, 1), digest(filled, 2)
    found = {each.digest: each for each in scrubber.run(scrubber.due(utc_now()))}
    assert found.keys() == {first, second}
    assert found[second] == Scrubbed(second, 1, 2, [], [])
    assert (found[first].files, found[first].damaged) == (2, [])


def test_each_damaged_file_is_named(filled: FlaskClient, parts: Parts, scrubber: Scrubber) -> None:
    prefix = version_prefix(digest(filled))
    put(parts, prefix + "model.pkl", b"43")
    found = scrubber.scrub(digest(filled))
    assert found is not None
    (damaged,) = found.damaged
    assert (damaged.path, damaged.key, found.versions) == (
        "model.pkl",
        prefix + "model.pkl",
        [("orders", 1, [HELD])],
    )
    assert damaged.what.startswith("SHA-256 is ")
    put(parts, prefix + "model.pkl", b"4")
    parts.objects.delete([prefix + "MLmodel"])
    found = scrubber.scrub(digest(filled))
    assert found is not None
    assert found.damaged == [
        DamagedFile("MLmodel", prefix + "MLmodel", "missing"),
        DamagedFile("model.pkl", prefix + "model.pkl", "1 bytes instead of 2"),
    ]


def test_what_was_marked_meanwhile_stays(filled: FlaskClient, parts: Parts, scrubber: Scrubber) -> None:
    """A file that read well at first may be seen to be damaged while the others are read."""
    digest_ = digest(filled)

    class Meanwhile:
        def open(self, key: str) -> AbstractContextManager[BinaryIO]:
            with parts.store.transaction() as tx:
                tx.damages.mark(digest_, "MLmodel", "It was seen to be missing.", utc_now())
            return parts.objects.open(key)

    found = replace(scrubber, objects=Meanwhile()).scrub(digest_)  # type: ignore[arg-type]
    assert found is not None
    assert found.damaged == []
    with parts.store.transaction() as tx:
        assert [damage.path for damage in tx.damages.of(digest_)] == ["MLmodel"]
    scrubber.scrub(digest_)
    with parts.store.transaction() as tx:
        assert tx.damages.of(digest_) == []


def test_a_damage_is_told_once(filled: FlaskClient, parts: Parts, scrubber: Scrubber) -> None:
    parts.objects.delete([version_prefix(digest(filled)) + "MLmodel"])
    for _ in range(2):
        scrubber.scrub(digest(filled))
    rows = filled.get("/v1/audit?action=bytes.damaged").get_json()["rows"]
    assert [(row["subject"], row["after"]["path"]) for row in rows] == [(digest(filled), "MLmodel")]
    assert rows[0]["after"]["versions"] == [{"model": "orders", "version": 1}]


def test_what_is_printed(filled: FlaskClient, parts: Parts, scrubber: Scrubber) -> None:
    prefix = version_prefix(digest(filled))
    parts.objects.delete([prefix + "MLmodel"])
    lines: list[str] = []
    assert not print_scrubbed(scrubber.run([digest(filled), digest(filled, 2)]), lines.append)
    assert lines[0] == f"{digest(filled)} is damaged"
    assert lines[1] == f"  MLmodel: missing ({prefix}MLmodel)"
    assert lines[2] == "  it is version 1 of orders, in prod/Production"
    assert "restore" in lines[3]
    assert lines[4].startswith("2 digests, 3 files, ")
    assert lines[4].endswith("; 1 digests are damaged")
    assert print_scrubbed(scrubber.run([digest(filled, 2)]), lines.append)


def test_importing_again_mends_what_is_missing(filled: FlaskClient, parts: Parts, send: Send) -> None:
    scrubber = Scrubber(parts.store, parts.objects, parts.clock)
    (made,) = send(model_of("e" * 32), model_name="more", register="model")["versions"]
    prefix = version_prefix(made["digest"])
    parts.objects.delete([prefix + "model.pkl"])
    put(parts, prefix + "MLmodel", b"cut")
    before = scrubber.scrub(made["digest"])
    assert before is not None
    assert len(before.damaged) == 2
    (again,) = send(model_of("d" * 32), model_name="again", register="model")["versions"]
    assert again["digest"] == made["digest"]
    after = scrubber.scrub(made["digest"])
    assert after is not None
    assert after.damaged == []


def test_it_goes_on_where_it_ended(filled: FlaskClient, scrubber: Scrubber) -> None:
    both = sorted([digest(filled, 1), digest(filled, 2)])
    week_ago = utc_now() - timedelta(days=7)
    next(scrubber.run(scrubber.due(week_ago)))
    assert list(scrubber.due(week_ago)) == both[1:]
    assert list(scrubber.due(utc_now())) == both


def test_nothing_is_written_down_of_what_could_not_be_read(
    filled: FlaskClient, parts: Parts, scrubber: Scrubber
) -> None:
    class Away:
        def open(self, key: str) -> None:
            raise Unavailable("The object store does not answer.", part="s3")

    away = replace(scrubber, objects=Away())  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        away.scrub(digest(filled))
    assert len(list(scrubber.due(utc_now() - timedelta(days=7)))) == 2
    with pytest.raises(NotFound, match="digest"):
        scrubber.scrub("sha256:" + "0" * 64)


def test_what_is_collected_meanwhile_is_not_damaged(filled: FlaskClient, parts: Parts, scrubber: Scrubber) -> None:
    digest_ = digest(filled, 2)

    class Collected:
        def open(self, key: str) -> None:
            with parts.store.transaction() as tx:
                connection = tx.connection  # type: ignore[attr-defined]
                connection.exec_driver_sql("DELETE FROM registry.versions WHERE version = 2")
                connection.exec_driver_sql("DELETE FROM registry.manifests WHERE digest = %s", (digest_,))
            raise NotFound("object", key)

    assert replace(scrubber, objects=Collected()).scrub(digest_) is None  # type: ignore[arg-type]


def test_pace() -> None:
    pace = Pace(1000)
    began = time.monotonic()
    for _ in range(3):
        pace.spend(100)
    assert 0.25 < time.monotonic() - began < 2
    began = time.monotonic()
    Pace(0).spend(10**12)
    assert time.monotonic() - began < 0.1
