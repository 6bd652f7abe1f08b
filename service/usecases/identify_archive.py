"""Hash an archive whose bytes the service has not seen yet, and find the import that took in the same before."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping

from service.domain.errors import ArchiveRefused
from service.domain.importing import Import
from service.usecases.end_import import import_changed
from service.usecases.object_ports import ObjectStore
from service.usecases.object_reader import ObjectReader
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record

BLOCK = 1024 * 1024


def identified(
    store: RegistryStore,
    objects: ObjectStore,
    clock: Clock,
    import_: Import,
    on_progress: Callable[[Mapping[str, int]], None],
) -> Import:
    """The import with its archive's digest; or the live one of the same archive with the same options.

    Raises ArchiveRefused when the archive is not the one that was announced, Conflict when it has changed.
    """
    if import_.archive_digest:
        return import_
    hasher = hashlib.sha256()
    reader = ObjectReader(objects, import_.archive_key, import_.archive_size, import_.source.etag)
    hashed = 0
    with contextlib.closing(reader) as archive:
        while block := archive.read(BLOCK):
            hasher.update(block)
            hashed += len(block)
            on_progress({"bytes_hashed": hashed})
    announced = import_.source.sha256
    if announced not in ("", hasher.hexdigest()):
        raise ArchiveRefused(
            "The uploaded bytes have another SHA-256 than was announced: upload the archive again.",
            announced=announced,
            found=hasher.hexdigest(),
        )
    digest = f"sha256:{hasher.hexdigest()}"
    with store.transaction() as tx:
        key = import_.options.key(import_.workspace, digest)
        known = tx.imports.identify(import_.id, import_.attempts, digest, key)
        if known.id != import_.id:
            told = {"archive_digest": digest, "import": known.id}
            record(tx, import_changed("import.merged", import_.requester, import_, told), clock())
        return known
