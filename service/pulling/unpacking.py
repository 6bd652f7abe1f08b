"""A version's files from the registry's own tar, for machines that the object store does not answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from service.pulling.asking import Api, Ref
from service.pulling.connection import Body
from service.pulling.errors import Unavailable
from service.pulling.fetching import Advance, Moved, damaged
from service.pulling.manifest import File, Manifest, shown
from service.pulling.patience import Patience
from service.pulling.staging import BLOCK, partial

if TYPE_CHECKING:
    import tarfile


def unpack(api: Api, ref: Ref, manifest: Manifest, folder: Path, advance: Advance, retry_for: float) -> None:
    """Raises Damaged, Unavailable, Refused, Moved; files that came so far stay for the next time."""
    patience = Patience(retry_for)
    files = {file.path: file for file in manifest.files}
    while files:
        before = len(files)
        try:
            with api.archive(ref) as body:
                if body.headers.get("X-Model-Digest", manifest.digest) != manifest.digest:
                    raise Moved(f"{ref} has changed meanwhile.")
                _unpack(body, files, folder, advance)
        except Unavailable as error:
            if len(files) < before:
                patience.renew()
            patience.wait(error)


def _unpack(body: Body, files: dict[str, File], folder: Path, advance: Advance) -> None:
    """Take out of `files` each one that came."""
    import tarfile  # only needed here

    stream = io.BufferedReader(_Stream(body), BLOCK)
    name = "its first file"
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as tar:
            for member in tar:
                name = repr(shown(member.name))
                if member.name in files:
                    _take(tar, member, files[member.name], folder, advance)
                    del files[member.name]
    except tarfile.TarError as error:
        raise Unavailable(f"The registry's archive broke off after {name}; its bytes may be damaged.") from error
    if files:
        missing = min(files)
        raise Unavailable(f"The registry's archive ends before {shown(missing)!r}.")


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, file: File, folder: Path, advance: Advance) -> None:
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or member.size != file.size:
        raise damaged(file, "are not the ones that were registered")
    with partial(folder, file) as there:
        if there.is_all_of(file):
            advance(file.size)
            return
        there.restart()
        try:
            while block := source.read(BLOCK):
                there.write(block)
                advance(len(block))
        except BaseException:
            advance(-there.size)
            raise
        if not there.is_all_of(file):
            raise damaged(file, "are not the ones that were registered")


class _Stream(io.RawIOBase):
    def __init__(self, body: Body) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._body.readinto(memoryview(buffer).cast("B"))  # type: ignore[arg-type]
