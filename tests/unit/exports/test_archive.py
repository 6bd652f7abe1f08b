"""What is taken in: archives as the usual tools write them."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.unit.exports.cases_sound import NOISE, SOUND
from tests.unit.exports.hostile import entry, gz, read_all, skip_all, tar

# Names as exports hold them: spaces, accents, `#`, `%`, a backslash, hidden files, long and deep paths.
FILES: dict[str, bytes] = {
    "export/experiment.json": b'{"mlflow": {}}',
    "export/runs/0a1b/run.json": b"{}" * 300,
    "export/runs/0a1b/artifacts/hash#tag 100%.txt": b"a",
    "export/runs/0a1b/artifacts/pct%20encoded?.txt": b"",
    "export/runs/0a1b/artifacts/back\\slash.txt": b"b",
    "export/runs/0a1b/artifacts/ünïcode/файл-数据 😀.txt": b"c" * 511,
    "export/runs/0a1b/artifacts/.hidden/.dotfile": b"d" * 512,
    "export/runs/0a1b/artifacts/model/weights.bin": NOISE,
    "export/runs/0a1b/artifacts/" + "long/" * 20 + "n" * 200: b"e" * 513,
    "export/runs/0a1b/artifacts/inner.tar.gz": gz(tar(entry(b"../x", kind=b"2"))),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with FILES in `export/`, and an empty folder among them."""
    root = tmp_path_factory.mktemp("packed")
    for path, data in FILES.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (root / "export" / "empty").mkdir()
    return root


def _run(command: str, folder: Path) -> bytes:
    """What `command` writes to its standard output, which is a pipe, in `folder`."""
    for tool in ("tar", "zip", "zstd"):
        if f"{tool} " in command and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True).stdout  # noqa: S602


@pytest.mark.parametrize(
    "command",
    [
        "tar c export",
        "tar c ./export",
        "tar c .",
        "tar c --format=gnu export",
        "tar c --format=pax export",
        "tar c --format=pax --pax-option=delete=mtime ./export",
        "tar c -b1 export",
        "tar c -b256 export",
        "tar c --sort=name --owner=0 --mtime=@-5 export",
        "tar cz export",
        "tar c export | gzip -1",
        "tar c export | gzip -9",
        "(tar c export | head -c 5000 | gzip; tar c export | tail -c +5001 | gzip)",
        "tar c export | zstd -q",
        "tar c export | zstd -q -19 --no-check",
        "tar c export | zstd -q --ultra -22 --long=27",
        "(tar c export | head -c 5000 | zstd -q; tar c export | tail -c +5001 | zstd -q)",
        "zip -qr - export",
        "zip -qr0 - export",
        "zip -qrD - export",
        "zip -qr all.zip export && cat all.zip && rm all.zip",
        "zip -qr all.zip export && zip -qr all.zip export/runs && cat all.zip && rm all.zip",
        "find export -type f | zip -q - -@",
    ],
)
def test_archives_of_the_command_line_tools(command: str, folder: Path) -> None:
    archive = _run(command, folder)

    found = read_all(archive)

    assert {path: data for path, _, data in found} == FILES
    assert len(found) == len(FILES)
    assert all(size == len(data) for _, size, data in found)
    assert sorted(skip_all(archive)) == sorted((path, len(data)) for path, data in FILES.items())


class _Pipe(io.RawIOBase):
    """Takes bytes and can do nothing else, as a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # only bytes are written here
        self.taken += data
        return len(data)


def _python_tar(format_: int, mode: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=format_) as archive:  # type: ignore[call-overload]
        for path, data in FILES.items():
            # ustar has no way to write the longest of the names.
            if format_ == tarfile.USTAR_FORMAT and len(path) > 150:
                continue
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mtime = 1_700_000_000
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w|", "w|gz"])
@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_python_tarfile(format_: int, mode: str) -> None:
    longest = 150 if format_ == tarfile.USTAR_FORMAT else 1024

    found = read_all(_python_tar(format_, mode))

    expected = [(path, len(data), data) for path, data in FILES.items() if len(path) <= longest]
    assert found == expected


@pytest.mark.parametrize("streamed", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize("zip64", [False, True], ids=["narrow", "zip64"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_of_python_zipfile(method: int, zip64: bool, streamed: bool) -> None:
    target = _Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for path, data in FILES.items():
            with archive.open(zipfile.ZipInfo(path), "w", force_zip64=zip64) as member:
                member.write(data)
        archive.mkdir("export/empty")
        archive.comment = b"made by a test"

    written = bytes(target.taken) if isinstance(target, _Pipe) else target.getvalue()

    assert read_all(written) == [(path, len(data), data) for path, data in FILES.items()]


@pytest.mark.parametrize("name", SOUND)
def test_is_taken_in(name: str) -> None:
    archive, expected = SOUND[name]

    assert read_all(archive) == expected
    assert skip_all(archive) == [(path, size) for path, size, _ in expected]
