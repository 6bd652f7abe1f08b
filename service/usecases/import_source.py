"""The members of an import, from wherever its bytes are: an archive, or a folder of a drop zone."""

from __future__ import annotations

import contextlib
import io
import json
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from service.domain.errors import Conflict
from service.domain.importing import Import
from service.domain.layout import listing_key
from service.exports.archive import Limits, read_members
from service.exports.archive_limits import Ledger, Member
from service.exports.archive_names import is_junk
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.object_reader import ObjectReader

SMALL = 1024 * 1024
THREADS = 8
AHEAD = 16
"""Small objects that are read before their turn: at most AHEAD x SMALL = 16 MiB."""

Members = Iterator[tuple[Member, BinaryIO]]


@contextlib.contextmanager
def opened_members(objects: ObjectStore, import_: Import, limits: Limits) -> Iterator[Members]:
    """Members as `read_members` gives them.

    Iterating raises Conflict when a dropped object is another one than when the import was received.
    """
    if import_.source.prefix:
        with contextlib.closing(_dropped_members(objects, import_, limits)) as members:
            yield members
        return
    reader = ObjectReader(objects, import_.archive_key, import_.archive_size, import_.source.etag)
    with contextlib.closing(reader) as archive:
        yield read_members(archive, import_.archive_size, limits)  # type: ignore[arg-type]


def listing_of(prefix: str, infos: Iterable[ObjectInfo]) -> bytes:
    """One line for each object, in the order of their keys: path below `prefix`, size in bytes, ETag."""
    lines = (
        json.dumps([info.key.removeprefix(prefix), info.size, info.etag], ensure_ascii=False) + "\n"
        for info in sorted(infos, key=lambda info: info.key)
    )
    return "".join(lines).encode()


def _dropped_members(
    objects: ObjectStore, import_: Import, limits: Limits
) -> Generator[tuple[Member, BinaryIO], None, None]:
    with objects.open(listing_key(import_.id)) as file:
        rows = [json.loads(line) for line in file.read().splitlines()]
    ledger = Ledger(limits)
    infos = [ObjectInfo(import_.source.prefix + path, size, etag) for path, size, etag in rows]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="dropped") as pool:
        for info, data in _read_ahead(pool, objects, infos):
            raw = info.key.removeprefix(import_.source.prefix).encode()
            member = Member(ledger.admit(raw, info.size, folder=False), info.size)
            if is_junk(member.path):
                continue
            if data is not None:
                yield member, io.BytesIO(data.result())
            else:
                with objects.open(info.key, etag=info.etag) as stream:
                    yield member, stream


def _read_ahead(
    pool: ThreadPoolExecutor, objects: ObjectStore, infos: Iterable[ObjectInfo]
) -> Iterator[tuple[ObjectInfo, Future[bytes] | None]]:
    waiting: deque[tuple[ObjectInfo, Future[bytes] | None]] = deque()
    for info in infos:
        waiting.append((info, pool.submit(_whole, objects, info) if info.size <= SMALL else None))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def _whole(objects: ObjectStore, info: ObjectInfo) -> bytes:
    with objects.open(info.key, etag=info.etag) as stream:
        data = stream.read()
    if len(data) != info.size:
        raise Conflict(f"The object {info.key!r} has another size than it was listed with.", key=info.key)
    return data
