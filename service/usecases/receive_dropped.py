"""Take in what is in the workspace's drop zone already: one archive, or a folder of files."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterable

from service.domain.errors import ArchiveRefused, InvalidInput, NotFound, TooLarge
from service.domain.identity import Principal
from service.domain.importing import Import, ImportOptions, ImportSource
from service.domain.layout import drop_zone, listing_key
from service.exports.archive import Limits, recognise
from service.exports.archive_limits import Ledger
from service.exports.archive_names import clean, shown
from service.usecases.import_source import listing_of
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.receive_import import HEAD, Received, check_options, kept_only_if_received

LIMITS = Limits(members=100_000)
"""Each file of a folder costs requests, and its place in the listing."""


def receive_dropped(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    by: Principal,
    workspace: str,
    max_bytes: int,
    options: ImportOptions,
    *,
    key: str = "",
    prefix: str = "",
    idempotency_key: str | None = None,
) -> Received:
    """Queue the import of the archive at `key`, or else of the files below `prefix`, as they are now.

    Nothing is left behind when this raises: what `receive_import` raises, InvalidInput for a name that is not in
    the workspace's drop zone, NotFound(kind="object") for one at which nothing is.
    """
    check_options(store, by, workspace, options)
    import_id = str(uuid.uuid4())
    listing = b""
    if key:
        source, digest, size = _archive(objects, _inside(workspace, key, "s3.key"))
        # Until the worker has hashed it, one put of the object is told from another by its ETag.
        told_apart_by = f"{source.key} {size} {source.etag}"
    else:
        source, listing, size = _folder(objects, _inside(workspace, prefix.removesuffix("/") + "/", "s3.prefix"))
        told_apart_by = digest = "sha256:" + hashlib.sha256(listing).hexdigest()
    if size > max_bytes:
        raise TooLarge(f"These are {size} bytes; at most {max_bytes} are taken in.", limit=max_bytes)
    new = Import.received(
        by, clock(), import_id, workspace, options.key(workspace, told_apart_by), options, digest, size, source
    )
    kept = listing_key(import_id)
    with kept_only_if_received(store, objects, clock, kept) as receipt:
        if listing:
            objects.put(kept, io.BytesIO(listing), len(listing))
        return receipt.queue(by, new, idempotency_key)


def _inside(workspace: str, name: str, field: str) -> str:
    """`name`, if it is a key or a folder of the drop zone and has one reading only."""
    zone = drop_zone(workspace)
    if not name.startswith(zone) or not (name == zone or _is_clean(name.removeprefix(zone))):
        raise InvalidInput(
            f"{shown(name.encode())!r} cannot be imported: name something below {zone!r}, without empty, '.' or '..' "
            "segments.",
            field=field,
        )
    return name


def _is_clean(inner: str) -> bool:
    try:
        return clean(inner.encode(), folder=inner.endswith("/")) == inner.removesuffix("/")
    except ArchiveRefused:
        return False


def _archive(objects: ObjectStore, key: str) -> tuple[ImportSource, str, int]:
    info = objects.stat(key)
    with objects.open(key, 0, HEAD, info.etag) as body:
        recognise(body.read(HEAD))
    return ImportSource(key=key, etag=info.etag), "", info.size


def _folder(objects: ObjectStore, prefix: str) -> tuple[ImportSource, bytes, int]:
    infos = list(_admitted(objects.list(prefix), prefix))
    if not infos:
        raise NotFound("object", prefix, f"There is nothing below {prefix!r}.")
    return ImportSource(prefix=prefix), listing_of(prefix, infos), sum(info.size for info in infos)


def _admitted(infos: Iterable[ObjectInfo], prefix: str) -> Iterable[ObjectInfo]:
    """The names and sizes are held to the rules of an archive's members before anything is received."""
    ledger = Ledger(LIMITS)
    for info in infos:
        ledger.admit(info.key.removeprefix(prefix).encode(), info.size, folder=False)
        yield info
