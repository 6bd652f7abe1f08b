"""Which names a member of an archive may have, and how a refused one is spoken of.

A name decides where bytes land in the object store and on the disk of whoever downloads them, so every
name that two readers could take differently is refused instead of repaired.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

from service.domain.errors import ArchiveRefused
from service.domain.file_names import CONTROL

_SHOWN = 200
_DRIVE = re.compile(r"[A-Za-z]:")
_DIGEST = 12

# Left behind by macOS, and by unpackers that did not know pax headers and wrote them out as files.
_JUNK_FOLDER = re.compile(r"__MACOSX|PaxHeaders?(\.\d+)?")
_JUNK_FILE = frozenset({".DS_Store", "@PaxHeader", "pax_global_header"})


@lru_cache(maxsize=8)  # each reader of a member asks for its name, most often in vain
def shown(raw: bytes) -> str:
    """The name `raw` as it may stand in a message: short, printable, valid Unicode."""
    text = raw.decode("utf-8", "backslashreplace")
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def refused(name: str, what: str) -> ArchiveRefused:
    """The refusal of the member `name` (as `shown`); `what` completes the sentence "The member … "."""
    return ArchiveRefused(f'The member "{name}" {what}.', member=name)


def damaged(what: str, after: str = "") -> ArchiveRefused:
    """The refusal of an archive whose framing is broken; `after` is the last sound member, if any."""
    if after:
        return ArchiveRefused(f'The archive {what}, after the member "{after}".', after=after)
    return ArchiveRefused(f"The archive {what}.")


def ends_early(inside: str = "") -> ArchiveRefused:
    """The refusal of a truncated archive; `inside` is the member that is cut, if any."""
    detail = "The archive is truncated: it ends early"
    if inside:
        return ArchiveRefused(f'{detail}, inside the member "{inside}".', member=inside)
    return ArchiveRefused(f"{detail}.")


def is_junk(path: str) -> bool:
    """Whether the file at `path` is no part of an export but an artefact of the packing machine."""
    *folders, name = path.split("/")
    return name in _JUNK_FILE or any(_JUNK_FOLDER.fullmatch(folder) for folder in folders)


def clean(raw: bytes, *, folder: bool) -> str:
    """The relative path that the name `raw` stands for: `/` between segments, no leading `./`.

    Returns "" for the folder the archive was packed in (`./`). A backslash is an ordinary character of a
    Linux file name and is kept, but must not hide a `..` from a reader on Windows.

    Raises:
        ArchiveRefused: the name is absolute, climbs, has control characters, or is not UTF-8.
    """
    name = shown(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise refused(name, "has a name that is not UTF-8") from None
    if CONTROL.search(text):
        raise refused(name, "has a control character in its name")
    if text.startswith(("/", "\\")):
        raise refused(name, "has an absolute path")
    if folder:
        if text in (".", "./"):
            return ""
        text = text.removesuffix("/")
    path = text.removeprefix("./")
    if _DRIVE.match(path):
        raise refused(name, "begins with a drive letter")
    segments = path.split("/")
    if ".." in segments or ("\\" in path and ".." in re.split(r"[/\\]", path)):
        raise refused(name, 'has ".." in its path')
    if "" in segments or "." in segments:
        raise refused(name, 'has an empty or "." segment in its path')
    return path


class Names:
    """The names seen so far. Keeps a digest of each and not the name: about 100 bytes a member.

    Two files must not differ only in case or in Unicode normalisation: on the disk of a macOS or Windows
    client one would silently replace the other.
    """

    def __init__(self) -> None:
        self._files: set[bytes] = set()
        self._folders: set[bytes] = set()

    def add(self, path: str, *, folder: bool) -> None:
        """Enters `path` (from `clean`), or raises ArchiveRefused when it collides with one before."""
        key = _fold(path)
        if folder:
            self._enter(path, key)
            return
        digest = _digest(key)
        if digest in self._files:
            raise refused(
                shown(path.encode()),
                "is there twice, or differs from another one only in case or Unicode form",
            )
        if digest in self._folders:
            raise refused(shown(path.encode()), "is a file and a folder at once")
        self._files.add(digest)
        self._enter(path, key.rpartition("/")[0])

    def _enter(self, path: str, key: str) -> None:
        """Enters a folder and those above it, up to the first that is known (and with it all above)."""
        while key:
            digest = _digest(key)
            if digest in self._folders:
                return
            if digest in self._files:
                raise refused(shown(path.encode()), "needs a folder where the archive has a file")
            self._folders.add(digest)
            key = key.rpartition("/")[0]


def _fold(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_DIGEST).digest()
