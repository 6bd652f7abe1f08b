"""Which members an archive may have: what is left out, and how much and how many are taken in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.errors import ArchiveRefused, RegistryError, TooLarge
from service.exports.archive import Limits
from tests.unit.exports.cases_sound import in_every_format
from tests.unit.exports.hostile import entry, pax, read_all, skip_all, tar

FORMATS = list(in_every_format({}))

JUNK = {
    "__MACOSX/._run": b"1",
    "__MACOSX/run/._run.json": b"1",
    ".DS_Store": b"1",
    "run/.DS_Store": b"1",
    "run/__MACOSX/x": b"1",
    "PaxHeaders.1234/run.json": b"1",
    "run/PaxHeader/run.json": b"1",
    "run/@PaxHeader": b"1",
    "pax_global_header": b"1",
}
LIKE_JUNK = {
    "run/._run.json": b"1",
    "run/.hidden": b"1",
    "run/DS_Store": b"1",
    "run/.DS_Store.txt": b"1",
    "run/__MACOSX": b"1",
    "run/PaxHeaders.txt/a": b"1",
    "run/PaxHeader": b"1",
}


@pytest.mark.parametrize("kind", FORMATS)
def test_files_of_the_packing_machine_are_left_out(kind: str) -> None:
    # One member of LIKE_JUNK is named as a folder of JUNK is, so the two do not go into one archive.
    assert skip_all(in_every_format({"run.json": b"{}", **JUNK})[kind]) == [("run.json", 2)]
    assert [path for path, _ in skip_all(in_every_format(LIKE_JUNK)[kind])] == list(LIKE_JUNK)


NAMES = {"a": b"12", "b/c": b"345", "b/ddd": b"6"}

# Each limit, the value that is just enough for NAMES, and what refuses one less.
EDGES: list[tuple[str, int, type[RegistryError]]] = [
    ("members", 3, TooLarge),
    ("path_bytes", 5, ArchiveRefused),
    ("segment_bytes", 3, ArchiveRefused),
    ("depth", 2, ArchiveRefused),
    ("names_bytes", 9, TooLarge),
    ("unpacked_bytes", 6, TooLarge),
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("limit", "enough", "error"), EDGES, ids=[edge[0] for edge in EDGES])
def test_a_limit_is_the_largest_that_is_taken_in(
    kind: str, limit: str, enough: int, error: type[RegistryError]
) -> None:
    archive = in_every_format(NAMES)[kind]

    assert read_all(archive, replace(Limits(), **{limit: enough})) == [
        (path, len(data), data) for path, data in NAMES.items()
    ]
    with pytest.raises(error):
        read_all(archive, replace(Limits(), **{limit: enough - 1}))


@pytest.mark.parametrize("kind", FORMATS)
def test_folders_on_the_way_are_counted(kind: str) -> None:
    archive = in_every_format({"a/b/c/d": b"1", "a/b/e": b"2"})[kind]

    assert len(skip_all(archive, Limits(members=3))) == 2
    with pytest.raises(TooLarge, match="more than 2 folders"):
        skip_all(archive, Limits(members=2))


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_the_ratio_counts_from_a_size_on(kind: str) -> None:
    archive = in_every_format({"zeros": bytes(2 << 20)})[kind]

    assert skip_all(archive, Limits(ratio=10, ratio_from=3 << 20)) == [("zeros", 2 << 20)]
    with pytest.raises(TooLarge):
        skip_all(archive, Limits(ratio=10, ratio_from=1 << 20))


def test_an_extended_header_has_a_limit() -> None:
    archive = tar(pax((b"path", b"a" * 90)) + entry(b"x"))  # a record of 99 bytes

    assert skip_all(archive, Limits(header_bytes=99)) == [("a" * 90, 0)]
    with pytest.raises(TooLarge):
        skip_all(archive, Limits(header_bytes=98))


def test_many_members_with_long_names_are_no_flood_of_headers() -> None:
    members = [pax((b"path", b"%0250d/%0250d" % (number, number))) + entry(b"x") for number in range(2000)]

    assert len(skip_all(tar(*members))) == 2000


def test_the_default_limits_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(
        members=1_000_000,
        path_bytes=1024,
        segment_bytes=255,
        depth=32,
        names_bytes=128 << 20,
        unpacked_bytes=200 * 1024**3,
        ratio=1000,
        ratio_from=100 * 1024**2,
        header_bytes=64 * 1024,
    )
