"""The files of a version as the registry lists them, trusted only as far as the digest goes."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.pulling.errors import Damaged

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NAME_BYTES = 255
"""What Linux's file systems allow for one part of a path."""


@dataclass(frozen=True, order=True)
class File:
    """Path relative to the model's root, size in bytes, lower-case hex SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files, sorted by path; `digest` is the SHA-256 of their canonical document."""

    digest: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def hex(self) -> str:
        return self.digest[len("sha256:") :]


def read_manifest(rows: object, digest: object) -> Manifest:
    """The manifest that `rows` (path, size, sha256 each) list.

    Raises:
        Damaged: they are not what the digest was made of, or name a place outside of the folder.
    """
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Damaged("The registry's answer has no digest of the form sha256:<hex>.")
    if not isinstance(rows, list):
        raise Damaged("The registry's answer lists no files.")
    files = tuple(sorted(_file(row) for row in rows))
    _check_tree(files)
    if document_digest(files) != digest:
        raise Damaged(f"The registry's list of files is not the one whose digest is {digest}.")
    return Manifest(digest, files)


def document_digest(files: Iterable[File]) -> str:
    """Of the canonical JSON: UTF-8, no spaces, keys and paths sorted."""
    rows = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in files]
    text = json.dumps({"files": rows}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def places(files: Iterable[File]) -> set[str]:
    """The paths of the files and of all folders that they need."""
    paths = set()
    for file in files:
        path = file.path
        while path and path not in paths:
            paths.add(path)
            path = path.rpartition("/")[0]
    return paths


def folded(paths: Iterable[str]) -> set[str]:
    """As a file system sees them that makes no difference of case or Unicode form."""
    return {unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold()) for path in paths}


def shown(text: str) -> str:
    """As it may stand in a message: short, and nothing in it that a terminal obeys."""
    text = text if len(text) <= 200 else text[:200] + "…"
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _file(row: Any) -> File:
    if not isinstance(row, dict):
        raise Damaged("The registry's list of files cannot be read.")
    path, size, sha256 = row.get("path"), row.get("size"), row.get("sha256")
    if not isinstance(path, str) or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise Damaged("The registry's list of files cannot be read.")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Damaged(f"The registry tells no size of {shown(path)!r}.")
    _check_path(path)
    return File(path, size, sha256)


def _check_path(path: str) -> None:
    parts = path.split("/")
    wrong = (
        _CONTROL.search(path)
        or {"", ".", ".."}.intersection(parts)
        or any(len(part.encode()) > NAME_BYTES for part in parts)
    )
    if wrong:
        raise Damaged(f"The registry lists a file that cannot be placed safely: {shown(path)!r}.")


def _check_tree(files: tuple[File, ...]) -> None:
    """No path twice, and none that is a file and a folder at once."""
    paths = {file.path for file in files}
    if len(paths) != len(files):
        raise Damaged("The registry lists a file twice.")
    for path in paths:
        while path:
            path = path.rpartition("/")[0]
            if path in paths:
                raise Damaged(f"The registry lists {shown(path)!r} as a file and as a folder.")
