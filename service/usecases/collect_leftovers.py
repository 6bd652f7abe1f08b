"""Delete objects that nothing refers to: what ended or refused requests and imports have left in the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from service.domain.layout import ARCHIVES, PENDING, VERSIONS, WORKSPACES
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import RegistryStore

FOLDERS = 500
KEYS = 1000


def collect_leftovers(store: RegistryStore, objects: ObjectStore, before: datetime) -> int:
    """Answers with the number of objects deleted.

    Objects put since `before` stay, since their row may be on its way; and all do while an import runs, which
    may be about to rely on any of them.
    """
    deleted = 0
    folders = _folders(objects)
    while some := list(islice(folders, FOLDERS)):
        with store.transaction() as tx:
            unused = tx.references.unused(some)
        for folder in unused:
            deleted += _delete(store, objects, folder, before)
    return deleted


def _folders(objects: ObjectStore) -> Iterator[str]:
    for prefix in (ARCHIVES, PENDING, VERSIONS):
        yield from _below(objects, prefix)
    for workspace in _below(objects, WORKSPACES):
        yield from _below(objects, workspace)
        yield from _below(objects, f"{workspace}models/")
        yield from _below(objects, f"{workspace}traces/")


def _below(objects: ObjectStore, prefix: str) -> Iterator[str]:
    return (info.key for info in objects.list(prefix, recursive=False) if info.key.endswith("/"))


def _delete(store: RegistryStore, objects: ObjectStore, folder: str, before: datetime) -> int:
    found = list(objects.list(folder))
    if any(info.modified is None or info.modified >= before for info in found):
        return 0
    deleted = 0
    for start in range(0, len(found), KEYS):
        keys = [info.key for info in found[start : start + KEYS]]
        with store.transaction() as tx:
            # The one transaction that spans storage: until it ends no import starts, and none can miss these keys.
            if tx.references.hold() and tx.references.unused([folder]):
                objects.delete(keys)
                deleted += len(keys)
    return deleted
