"""What every object store does: put, open, stat, copy, delete."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest

from service.domain.errors import NotFound
from service.usecases.object_ports import ObjectInfo, ObjectStore

MIB = 1024 * 1024
SIZES = [0, 1, 5 * MIB, 17 * MIB]
BYTES = bytes(range(256)) * (4 * 17 * 1024)
"""17 MiB: more than one part of an upload, and its last part is a short one."""
UNUSUAL = [
    "a space",
    " leading and trailing ",
    "hash#tag",
    "question?mark=1&more",
    "percent%20encoded",
    "percent%",
    "%2F",
    "plus+sign",
    "Größe ä",
    "日本語/モデル",
    "emoji 😀",
    "quotes'\"",
    "<angle>&amp;",
    "semicolon;comma,colon:at@",
    "brackets[0]{1}(2)",
    ".hidden/..name",
    "~tilde*star!",
]


class Trickle(io.RawIOBase):
    """Gives `data` a few bytes at a time, as a socket may."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        return self._data.read(self._most if size is None or size < 0 else min(size, self._most))


class Broken:
    """Gives `left` bytes and then fails."""

    def __init__(self, left: int) -> None:
        self._left = left

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            raise LookupError("the source is gone")
        block = b"x" * (self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block


def put(objects: ObjectStore, key: str, data: bytes = b"content") -> ObjectInfo:
    return objects.put(key, io.BytesIO(data), len(data))


def read(objects: ObjectStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    with objects.open(key, offset, length) as body:
        return body.read()


def require_absent(objects: ObjectStore, key: str) -> None:
    with pytest.raises(NotFound) as caught:
        objects.stat(key)
    assert caught.value.where["kind"] == "object"


@pytest.mark.parametrize("known", [True, False], ids=["known size", "unknown size"])
@pytest.mark.parametrize("size", SIZES)
def test_put_and_read_back(objects: ObjectStore, size: int, known: bool) -> None:
    data = BYTES[:size]
    info = objects.put("folder/file.bin", io.BytesIO(data), size if known else None)
    assert (info.key, info.size) == ("folder/file.bin", size)
    assert info.etag
    assert '"' not in info.etag
    assert objects.stat("folder/file.bin") == info
    assert list(objects.list("folder/")) == [info]
    assert read(objects, "folder/file.bin") == data


def test_put_reads_on_after_short_reads(objects: ObjectStore) -> None:
    data = BYTES[: 2 * MIB]
    assert objects.put("known", cast(BinaryIO, Trickle(data, 60_000)), len(data)).size == len(data)
    assert objects.put("unknown", cast(BinaryIO, Trickle(data, 60_000))).size == len(data)
    assert read(objects, "known") == read(objects, "unknown") == data


def test_put_replaces(objects: ObjectStore) -> None:
    first = put(objects, "key", b"a longer first content")
    second = put(objects, "key", b"second")
    assert first.etag != second.etag
    assert read(objects, "key") == b"second"
    assert [info.size for info in objects.list("")] == [6]


@pytest.mark.parametrize("after", [0, 100, 9 * MIB])
@pytest.mark.parametrize("size", [None, 20 * MIB], ids=["unknown size", "known size"])
def test_a_failing_source_leaves_nothing(objects: ObjectStore, after: int, size: int | None) -> None:
    with pytest.raises(LookupError, match="the source is gone"):
        objects.put("folder/key", cast(BinaryIO, Broken(after)), size)
    require_absent(objects, "folder/key")
    assert list(objects.list("")) == []


def test_a_failing_source_leaves_what_was_there(objects: ObjectStore) -> None:
    before = put(objects, "key", b"before")
    with pytest.raises(LookupError):
        objects.put("key", cast(BinaryIO, Broken(9 * MIB)))
    assert objects.stat("key") == before
    assert read(objects, "key") == b"before"


def test_a_source_that_ends_early_leaves_nothing(objects: ObjectStore) -> None:
    with pytest.raises(OSError, match=r"."):
        objects.put("key", io.BytesIO(b"abc"), 5)
    require_absent(objects, "key")


def test_open_a_range(objects: ObjectStore) -> None:
    data = b"0123456789"
    put(objects, "key", data)
    ranges = [(offset, length) for offset in (0, 3, 9, 10, 11) for length in (None, 0, 1, 4, 100)]
    assert {(offset, length): read(objects, "key", offset, length) for offset, length in ranges} == {
        (offset, length): data[offset : None if length is None else offset + length] for offset, length in ranges
    }


def test_open_a_range_of_an_empty_object(objects: ObjectStore) -> None:
    put(objects, "key", b"")
    assert read(objects, "key", 0, 0) == read(objects, "key", 0, 5) == read(objects, "key", 0) == b""


def test_open_a_range_across_parts(objects: ObjectStore) -> None:
    put(objects, "key", BYTES)
    assert read(objects, "key", 8 * MIB - 3, 7) == BYTES[8 * MIB - 3 : 8 * MIB + 4]
    assert read(objects, "key", 17 * MIB - 2) == BYTES[-2:]


def test_read_in_blocks(objects: ObjectStore) -> None:
    put(objects, "key", BYTES)
    blocks = []
    with objects.open("key") as body:
        while block := body.read(MIB):
            blocks.append(block)
    assert b"".join(blocks) == BYTES
    assert {len(block) for block in blocks} == {MIB}


def test_a_reader_may_stop_early(objects: ObjectStore) -> None:
    put(objects, "key", BYTES)
    for _ in range(3):
        with objects.open("key") as body:
            assert body.read(10) == BYTES[:10]
    assert read(objects, "key", 0, 3) == BYTES[:3]


@pytest.mark.parametrize(("offset", "length"), [(0, None), (5, None), (0, 0), (2, 3)])
def test_open_what_is_not_there(objects: ObjectStore, offset: int, length: int | None) -> None:
    put(objects, "folder/key")
    for absent in ("absent", "folder", "folder/absent"):
        with pytest.raises(NotFound) as caught, objects.open(absent, offset, length):
            pass
        assert caught.value.where == {"kind": "object", "name": absent}


def test_stat_what_is_not_there(objects: ObjectStore) -> None:
    put(objects, "folder/key")
    for absent in ("absent", "folder", "folder/absent"):
        require_absent(objects, absent)


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_keys(objects: ObjectStore, name: str) -> None:
    key = f"unusual/{name}/{name}"
    data = name.encode()
    info = put(objects, key, data)
    assert objects.stat(key) == info
    assert read(objects, key) == data
    assert [found.key for found in objects.list("unusual/")] == [key]
    assert [found.key for found in objects.list(f"unusual/{name}/")] == [key]
    assert objects.copy(key, f"copy/{name}").key == f"copy/{name}"
    assert read(objects, f"copy/{name}") == data
    objects.delete([key])
    require_absent(objects, key)
    assert [found.key for found in objects.list("")] == [f"copy/{name}"]


def test_copy(objects: ObjectStore) -> None:
    put(objects, "source", b"content")
    copied = objects.copy("source", "folder/target")
    assert (copied.key, copied.size) == ("folder/target", 7)
    assert copied.etag
    assert read(objects, "folder/target") == read(objects, "source") == b"content"
    put(objects, "source", b"changed later")
    assert read(objects, "folder/target") == b"content"


def test_copy_replaces(objects: ObjectStore) -> None:
    put(objects, "source", b"new")
    put(objects, "target", b"old content")
    assert objects.copy("source", "target").size == 3
    assert objects.stat("target").size == 3
    assert read(objects, "target") == b"new"


def test_copy_onto_itself(objects: ObjectStore) -> None:
    put(objects, "key", b"content")
    (before,) = objects.list("")
    assert objects.copy("key", "key") == before
    (after,) = objects.list("")
    assert (after, after.modified) == (before, before.modified)
    with pytest.raises(NotFound):
        objects.copy("absent", "absent")


@pytest.mark.parametrize("size", [0, 17 * MIB])
def test_copy_of_an_empty_and_of_a_large_object(objects: ObjectStore, size: int) -> None:
    put(objects, "source", BYTES[:size])
    assert objects.copy("source", "target").size == size
    assert objects.stat("target").size == size
    assert read(objects, "target") == BYTES[:size]


def test_copy_what_is_not_there(objects: ObjectStore) -> None:
    put(objects, "target", b"old")
    with pytest.raises(NotFound) as caught:
        objects.copy("absent", "target")
    assert caught.value.where == {"kind": "object", "name": "absent"}
    assert read(objects, "target") == b"old"


def test_delete(objects: ObjectStore) -> None:
    for key in ("one", "two", "three"):
        put(objects, key)
    objects.delete(iter(["one", "absent", "folder/absent", "two"]))
    assert [info.key for info in objects.list("")] == ["three"]
    objects.delete([])
    objects.delete(["one"])
    assert [info.key for info in objects.list("")] == ["three"]


def test_delete_leaves_what_is_below(objects: ObjectStore) -> None:
    put(objects, "folder/key")
    objects.delete(["folder", "folder/"])
    assert [info.key for info in objects.list("")] == ["folder/key"]


def test_check(objects: ObjectStore) -> None:
    objects.check()
