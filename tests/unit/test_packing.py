"""A folder as a tar that is never written: whole, in pieces, the same each time."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from service.exports.archive import read_members
from service.packing import PackingError, pack

FILES = {
    "run.json": b"{}",
    "empty": b"",
    "artifacts/Größe ä/model.pkl": bytes(range(256)) * 5,
    "artifacts/" + "long" * 40 + "/" + "name" * 30: b"x" * 512,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "export" / "no files").mkdir()
    return tmp_path / "export"


def test_what_is_read_is_the_folder(folder: Path) -> None:
    packed = pack(folder)
    data = packed.read(0, packed.size)
    assert len(data) == packed.size
    assert {member.path: body.read() for member, body in read_members(io.BytesIO(data), len(data))} == FILES
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert set(tar.getnames()) == set(FILES)
    for size in (1, 511, 512, 513, 3000):
        assert b"".join(packed.read(at, min(size, packed.size - at)) for at in range(0, packed.size, size)) == data
    os.utime(folder / "run.json", (5, 5))
    assert pack(folder).read(0, packed.size) == data


def test_an_archive_is_sent_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"0123456789")
    packed = pack(tmp_path / "a.zip")
    assert (packed.size, packed.read(3, 4)) == (10, b"3456")


def test_links_are_refused(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(PackingError, match="link"):
        pack(folder)
    (folder / "link").unlink()
    (folder / "artifacts" / "folder").symlink_to(folder)
    with pytest.raises(PackingError, match="folder"):
        pack(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackingError, match="no files"):
        pack(tmp_path)


def test_a_file_that_shrinks_or_goes_is_told(folder: Path) -> None:
    packed = pack(folder)
    (folder / "artifacts/Größe ä/model.pkl").write_bytes(b"short")
    with pytest.raises(PackingError, match="shorter"):
        packed.read(0, packed.size)
    (folder / "artifacts/Größe ä/model.pkl").unlink()
    with pytest.raises(PackingError, match="cannot be read"):
        packed.read(0, packed.size)
