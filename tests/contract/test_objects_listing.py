"""What every object store lists, and in which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from service.usecases.object_ports import ObjectInfo, ObjectStore
from tests.contract.test_objects import put

KEYS = [
    "run/B.txt",
    "run/model-old/MLmodel",
    "run/model.txt",
    "run/model/MLmodel",
    "run/model/code/a.py",
    "run/model/code/b/c.py",
    "run/model0",
    "run/ä",
    "runs",
]
"""By code point, in which `-` and `.` come before `/`."""


PREFIXES = ["", "r", "run", "run/", "run/model", "run/model/", "run/model/code/b/", "run/model.txt", "absent/", "x"]
LEVELS = {
    "": ["run/", "runs"],
    "r": ["run/", "runs"],
    "run": ["run/", "runs"],
    "run/": ["run/B.txt", "run/model-old/", "run/model.txt", "run/model/", "run/model0", "run/ä"],
    "run/model": ["run/model-old/", "run/model.txt", "run/model/", "run/model0"],
    "run/model/": ["run/model/MLmodel", "run/model/code/"],
    "run/model/code/": ["run/model/code/a.py", "run/model/code/b/"],
    "absent/": [],
    "x": [],
}


def keys(objects: ObjectStore, prefix: str) -> list[str]:
    return sorted(info.key for info in objects.list(prefix))


def level(objects: ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in objects.list(prefix, recursive=False)]


def test_prefixes(objects: ObjectStore) -> None:
    for key in reversed(KEYS):
        put(objects, key)
    assert {prefix: keys(objects, prefix) for prefix in PREFIXES} == {
        prefix: [key for key in KEYS if key.startswith(prefix)] for prefix in PREFIXES
    }
    assert {prefix: level(objects, prefix) for prefix in LEVELS} == LEVELS


def test_sizes(objects: ObjectStore) -> None:
    put(objects, "a/b/c", b"12345")
    put(objects, "a/d", b"123")
    assert sorted((info.key, info.size) for info in objects.list("a/")) == [("a/b/c", 5), ("a/d", 3)]
    folder, file = objects.list("a/", recursive=False)
    assert folder == ObjectInfo("a/b/", 0, "")
    assert file == objects.stat("a/d")


def test_a_folder_is_gone_with_its_last_object(objects: ObjectStore) -> None:
    for key in ("keep", "a/b/c/one", "a/b/c/two", "a/d"):
        put(objects, key)
    objects.delete(["a/b/c/one", "a/b/c/two"])
    assert level(objects, "a/") == keys(objects, "a/") == ["a/d"]
    assert level(objects, "a/b/") == keys(objects, "a/b/") == []
    objects.delete(["a/d"])
    assert level(objects, "") == keys(objects, "") == ["keep"]


def test_more_than_a_page(objects: ObjectStore) -> None:
    wanted = [f"many/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: put(objects, key, b""), wanted))
    put(objects, "many/a/inside")
    assert keys(objects, "many/") == [*wanted, "many/a/inside"]
    assert level(objects, "many/") == [*wanted, "many/a/"]
    assert level(objects, "") == ["many/"]
    objects.delete(wanted)
    assert keys(objects, "many/") == ["many/a/inside"]


def test_a_listing_may_be_left_early(objects: ObjectStore) -> None:
    for number in range(5):
        put(objects, f"key-{number}")
    assert next(iter(objects.list(""))).key.startswith("key-")
    assert next(iter(objects.list("", recursive=False))).key == "key-0"
