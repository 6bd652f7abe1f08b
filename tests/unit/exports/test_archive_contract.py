"""How an archive is read: formats, what is asked of its source, and what its members' streams can do."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from service.domain.errors import ArchiveRefused, Unavailable
from service.exports.archive import ArchiveFormat, Member, read_members, recognise
from tests.unit.exports.cases_packing import NO_ARCHIVE
from tests.unit.exports.cases_sound import NOISE, in_every_format
from tests.unit.exports.hostile import PACKINGS, gz, header, skip_all, skippable, zst
from tests.unit.exports.hostile_zip import Zipped, zipped

TEXT = json.dumps({"mlflow": ["text"] * 5000}).encode()
MEMBERS = {
    "run/run.json": TEXT,
    "run/noise": random.Random(8).randbytes(1_300_000),
    "run/empty": b"",
    "run/last": b"last",
}
FOUND = [(path, len(data), data) for path, data in MEMBERS.items()]


ARCHIVES = in_every_format(MEMBERS)
every_format = pytest.mark.parametrize("kind", ARCHIVES)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (ARCHIVES["tar"][:512], ArchiveFormat.TAR),
        (ARCHIVES["tar"], ArchiveFormat.TAR),
        (bytes(512), ArchiveFormat.TAR),
        (header(b"x", magic=bytes(8)), ArchiveFormat.TAR),
        (header(b"x", checksum=bytes(8)), ArchiveFormat.TAR),
        (ARCHIVES["tar.gz"][:512], ArchiveFormat.TAR_GZ),
        (gz(b""), ArchiveFormat.TAR_GZ),
        (ARCHIVES["tar.zst"][:512], ArchiveFormat.TAR_ZST),
        (zst(b""), ArchiveFormat.TAR_ZST),
        (skippable(b"x") + zst(b""), ArchiveFormat.TAR_ZST),
        (ARCHIVES["zip"][:512], ArchiveFormat.ZIP),
        (zipped(), ArchiveFormat.ZIP),
    ],
)
def test_recognises_a_format_by_its_beginning(head: bytes, expected: ArchiveFormat) -> None:
    assert recognise(head) is expected


@pytest.mark.parametrize("name", NO_ARCHIVE)
def test_says_which_formats_are_taken_in(name: str) -> None:
    with pytest.raises(ArchiveRefused, match=r"tar\.gz, tar, zip or tar\.zst of the export folder is needed"):
        recognise(NO_ARCHIVE[name][:512])


class _Object(io.BytesIO):
    """A stored object that hands out at most `most` bytes at a time, and counts its seeks."""

    def __init__(self, data: bytes, most: int = 1 << 30) -> None:
        super().__init__(data)
        self.most = most
        self.seeks: list[int] = []
        self.reads: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0
        self.reads.append(size)
        return super().read(min(size, self.most))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.seeks.append(offset)
        return super().seek(offset, whence)


@pytest.mark.parametrize("kind", PACKINGS)
def test_a_tar_is_read_once_from_front_to_back(kind: str) -> None:
    source = _Object(ARCHIVES[kind])

    for _ in read_members(source, len(ARCHIVES[kind])):
        pass

    assert source.seeks == []
    assert sum(source.reads) == len(ARCHIVES[kind])
    assert max(source.reads) == min(1 << 20, len(ARCHIVES[kind]))


def test_a_zip_is_read_at_its_end_and_then_forwards() -> None:
    archive = zipped(*(Zipped(b"run/%d" % number, NOISE) for number in range(20)))
    source = _Object(archive)

    found = list(read_members(source, len(archive)))

    assert len(found) == 20
    # The tail, the directory, the members: however many there are, no more than this.
    assert len(source.seeks) <= 4
    assert source.seeks[2:] == sorted(source.seeks[2:])


@every_format
@pytest.mark.parametrize("most", [1, 7, 4096])
def test_a_source_may_give_less_than_it_was_asked_for(kind: str, most: int) -> None:
    archive = in_every_format({"run/run.json": TEXT[:900], "run/last": b"last"})[kind]

    members = read_members(_Object(archive, most), len(archive))

    assert [(member.path, stream.read()) for member, stream in members] == [
        ("run/run.json", TEXT[:900]),
        ("run/last", b"last"),
    ]


@every_format
def test_a_source_shorter_than_its_size_is_refused(kind: str) -> None:
    with pytest.raises(ArchiveRefused, match="truncated"):
        list(read_members(io.BytesIO(ARCHIVES[kind][:-700]), len(ARCHIVES[kind])))


@every_format
def test_bytes_of_the_source_behind_its_size_are_not_read(kind: str) -> None:
    source = io.BytesIO(ARCHIVES[kind] + b"another object")

    assert [member.path for member, _ in read_members(source, len(ARCHIVES[kind]))] == list(MEMBERS)


@every_format
def test_the_position_of_the_source_does_not_matter(kind: str) -> None:
    source = io.BytesIO(ARCHIVES[kind])
    source.seek(9)

    assert [member.path for member, _ in read_members(source, len(ARCHIVES[kind]))] == list(MEMBERS)


@every_format
def test_an_error_of_the_source_passes_through(kind: str) -> None:
    class Failing(_Object):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.reads:
                raise Unavailable("The object store does not answer.")
            return super().read(size)

    with pytest.raises(Unavailable):
        list(read_members(Failing(ARCHIVES[kind]), len(ARCHIVES[kind])))


# The streams are `io` objects; `Any` because the contract promises no more than a BinaryIO.
READINGS: dict[str, Callable[[Any], bytes]] = {
    "whole": lambda stream: stream.read(),
    "none-as-size": lambda stream: stream.read(None),
    "pieces": lambda stream: b"".join(iter(lambda: stream.read(1000), b"")),
    "large-pieces": lambda stream: b"".join(iter(lambda: stream.read(3 << 20), b"")),
    "read1": lambda stream: b"".join(iter(lambda: stream.read1(70_000), b"")),
    "read1-without-size": lambda stream: b"".join(iter(lambda: stream.read1(), b"")),
    "readinto": lambda stream: _read_into(stream),
    "buffered": lambda stream: io.BufferedReader(stream).read(),
    "closed-by-caller": lambda stream: _read_and_close(stream),
}


def _read_into(stream: io.BufferedIOBase) -> bytes:
    target, parts = bytearray(5000), []
    while count := stream.readinto(target):
        parts.append(bytes(target[:count]))
    return b"".join(parts)


def _read_and_close(stream: io.BufferedIOBase) -> bytes:
    with stream:
        return stream.read()


@every_format
@pytest.mark.parametrize("reading", READINGS)
def test_a_member_reads_as_a_file_does(kind: str, reading: str) -> None:
    members = read_members(io.BytesIO(ARCHIVES[kind]), len(ARCHIVES[kind]))

    found = [(member.path, member.size, READINGS[reading](stream)) for member, stream in members]

    assert found == FOUND


@every_format
def test_what_is_left_of_a_member_is_skipped(kind: str) -> None:
    members = read_members(io.BytesIO(ARCHIVES[kind]), len(ARCHIVES[kind]))

    assert [stream.read(3) for _, stream in members] == [data[:3] for data in MEMBERS.values()]


@every_format
def test_a_member_can_be_closed_before_its_end(kind: str) -> None:
    paths = []
    for member, stream in read_members(io.BytesIO(ARCHIVES[kind]), len(ARCHIVES[kind])):
        paths.append(member.path)
        stream.close()

    assert paths == list(MEMBERS)


@every_format
def test_a_member_cannot_be_read_after_the_next_was_asked_for(kind: str) -> None:
    members = read_members(io.BytesIO(ARCHIVES[kind]), len(ARCHIVES[kind]))
    _, first = next(members)
    next(members)

    with pytest.raises(ValueError, match="moved on"):
        first.read(1)


@every_format
def test_a_member_is_a_stream_that_only_reads(kind: str) -> None:
    _, stream = next(read_members(io.BytesIO(ARCHIVES[kind]), len(ARCHIVES[kind])))

    assert (stream.readable(), stream.writable(), stream.seekable()) == (True, False, False)
    assert stream.read(0) == b""
    assert json.load(stream) == json.loads(TEXT)


# A plain tar has no checksum over its content.
@pytest.mark.parametrize("kind", [kind for kind in ARCHIVES if kind != "tar"])
def test_skipped_members_are_verified_as_well(kind: str) -> None:
    archive = bytearray(ARCHIVES[kind])
    archive[len(archive) // 2] ^= 255

    with pytest.raises(ArchiveRefused):
        skip_all(bytes(archive))


def test_a_member_is_a_value() -> None:
    assert Member("a", 1) == Member("a", 1)
    with pytest.raises(AttributeError):
        Member("a", 1).size = 2  # type: ignore[misc]
