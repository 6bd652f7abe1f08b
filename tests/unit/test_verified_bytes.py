"""Whatever lies in the bucket: nobody gets the last byte of a file that is not the registered one."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.domain.errors import Damaged
from service.domain.model import ManifestFile
from service.stores.memory_objects import MemoryObjects
from service.usecases import verified_bytes
from service.usecases.verified_bytes import file_bytes

DIGEST = "sha256:" + "0" * 64
KEY = f"models/sha256/{'0' * 64}/weights"
_small = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, derandomize=True)


@pytest.fixture(autouse=True)
def _blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_bytes, "BLOCK", 4)


def given_out(registered: bytes, stored: bytes, start: int) -> tuple[bytes, bool]:
    """What came, and whether it ended well."""
    objects = MemoryObjects()
    objects.put(KEY, io.BytesIO(stored), len(stored))
    file = ManifestFile("weights", len(registered), hashlib.sha256(registered).hexdigest())
    got = bytearray()
    try:
        for block in file_bytes(objects, DIGEST, file, start):
            got.extend(block)
    except Damaged:
        return bytes(got), False
    return bytes(got), True


@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(0, 20))
@example(b"abcd", b"abcde", 0)
@example(b"abcd", b"wxyz1", 0)
@example(b"abcdefgh", b"abcdefghijkl", 3)
@_small
def test_what_is_not_the_registered_one_never_ends(registered: bytes, stored: bytes, start: int) -> None:
    start = min(start, len(registered))
    got, ended = given_out(registered, stored, start)
    assert ended == (stored == registered)
    if not ended:
        assert len(got) < max(1, len(registered) - start)


@given(st.binary(max_size=20), st.integers(0, 20))
@_small
def test_the_registered_one_is_given_from_anywhere(data: bytes, start: int) -> None:
    start = min(start, len(data))
    assert given_out(data, data, start) == (data[start:], True)
