"""Objects that were flipped, cut off or deleted in the bucket: no puller ever shows a folder with them."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.layout import version_prefix
from tests.pulling.site import Site, contents, whole

SOUND = {"model.pkl": b"sound"}
FILES = {"a.bin": random.Random(2).randbytes(1_500_000), "b.bin": b"x", "c.bin": random.Random(3).randbytes(70_000)}
KINDS = ("flipped", "cut off", "longer", "deleted")


def damaged(data: bytes, kind: str) -> bytes | None:
    at = len(data) // 2
    match kind:
        case "flipped":
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case "cut off":
            return data[:-1]
        case "longer":
            return data + b"!"
        case _:
            return None


@pytest.fixture(scope="module")
def versions(shared_site: Site) -> tuple[int, int]:
    return shared_site.register(SOUND), shared_site.register(FILES)


@pytest.fixture
def store(site: Site, versions: tuple[int, int]) -> Iterator[str]:
    """The prefix of the second version's objects, whole again after the test."""
    prefix = version_prefix(site.hold(versions[1]))
    yield prefix
    for path, data in FILES.items():
        site.parts.objects.put(prefix + path, io.BytesIO(data), len(data))


def spoil(site: Site, prefix: str, path: str, kind: str, sound: bytes = b"") -> None:
    data = damaged(sound or FILES[path], kind)
    if data is None:
        site.parts.objects.delete([prefix + path])
    else:
        site.parts.objects.put(prefix + path, io.BytesIO(data), len(data))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", FILES)
def test_presigned(kind: str, path: str, site: Site, store: str, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    assert site.pull(to).code == 0
    digest = site.hold(versions[1])
    spoil(site, store, path, kind)
    for _ in range(2):  # what is left of the first pull must not help the second
        done = site.pull(to)
        assert (done.code, done.out) == (5, ""), done.err
        assert f"The stored bytes of '{path}' are" in done.err
        assert "The registry's operator has to restore them" in done.err
        assert contents(to) == whole(SOUND)
    site.parts.objects.put(store + path, io.BytesIO(FILES[path]), len(FILES[path]))
    mended = site.pull(to)
    assert (mended.code, mended.out) == (0, f"placed orders {versions[1]} {digest}\n")
    assert contents(to) == whole(FILES)


@pytest.mark.parametrize("kind", KINDS)
def test_archive(kind: str, site: Site, store: str, versions: tuple[int, int], to: Path) -> None:
    """The registry breaks its answer off, or says at once what is damaged."""
    site.hold(versions[0])
    assert site.pull(to).code == 0
    site.hold(versions[1])
    spoil(site, store, "c.bin", kind)
    done = site.pull(to, "--via", "archive", "--retry-for", "0")
    assert done.code in (5, 6), done.err
    assert "damaged" in done.err
    assert contents(to) == whole(SOUND)
