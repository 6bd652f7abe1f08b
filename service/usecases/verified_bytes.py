"""Bytes of a version's files, read from the bucket and held against the manifest.

Of each file whose last byte is asked for, the whole object is read and hashed, and its last block is only given once
size and SHA-256 are what was registered. So whoever puts a file together, from however many ranges, has its last byte
from a read in which the whole object was the right one; a range that ends inside a file is given as it is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

from service.domain.errors import Damaged, NotFound
from service.domain.layout import version_prefix
from service.domain.model import ManifestFile
from service.usecases.object_ports import ObjectStore

BLOCK = 1024 * 1024


def file_bytes(
    objects: ObjectStore, digest: str, file: ManifestFile, start: int = 0, stop: int | None = None
) -> Iterator[bytes]:
    """Bytes from `start` up to, without, `stop` (None: the end), in blocks.

    Raises Damaged, before the last block, when the object is missing or not the one that was registered.
    """
    key = version_prefix(digest) + file.path
    stop = file.size if stop is None else stop
    try:
        if stop < file.size:
            with objects.open(key, start, stop - start) as body:
                yield from _stored(body, file, stop - start)
        else:
            with objects.open(key) as body:
                yield from _verified(body, file, start)
    except NotFound as error:
        raise _damaged(file, f"The object of {file.path!r} is missing.") from error


def _stored(body: BinaryIO, file: ManifestFile, left: int) -> Iterator[bytes]:
    while left:
        block = body.read(min(BLOCK, left))
        if not block:
            raise _damaged(file, f"The object of {file.path!r} is too short.")
        left -= len(block)
        yield block


def _verified(body: BinaryIO, file: ManifestFile, start: int) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    position = 0
    held = b""
    while block := body.read(BLOCK):
        hasher.update(block)
        begins, position = position, position + len(block)
        if position > file.size:
            break  # what is held may be all that the client waits for
        if held:
            yield held
        held = block[max(0, start - begins) :]
    if position != file.size or hasher.hexdigest() != file.sha256:
        raise _damaged(file, f"The stored bytes of {file.path!r} are not the ones that were registered.")
    if held:
        yield held


def _damaged(file: ManifestFile, what: str) -> Damaged:
    return Damaged(what, file=file.path)
