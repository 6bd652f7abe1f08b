"""Collect garbage: bytes of versions that nothing needs, and what ended requests and imports left in the bucket.

A digest that nothing needs is marked. When it still is after the grace period, its manifest is deleted in a transaction
that looks again, and no claim can come in between. Only then do its objects go, as those of every other folder that no
row and no claim names: an end in between leaves objects that the next collection finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from service.domain.audit import Change
from service.domain.identity import SERVICE
from service.domain.layout import ARCHIVES, PENDING, VERSIONS, WORKSPACES, version_prefix
from service.usecases.garbage_ports import Unneeded
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_change import record

FOLDERS = 500
KEYS = 200
"""Objects deleted at once, while whoever wants to claim anything waits."""


@dataclass(frozen=True)
class Garbage:
    """What goes, and why: the objects of a folder. `due` is when, None: now."""

    folder: str
    objects: int
    size: int
    why: str
    due: datetime | None = None


@dataclass(frozen=True)
class Collector:
    """`grace` is how long garbage stays after it was noticed or written, `window` how far back rollbacks reach."""

    store: RegistryStore
    objects: ObjectStore
    clock: Clock
    grace: timedelta
    window: timedelta

    def look(self) -> Iterator[Garbage]:
        """What there is, and when it would go; changes nothing."""
        now = self.clock()
        with self.store.transaction() as tx:
            unneeded = tx.garbage.unneeded(now, now - self.window)
        yield from (self._unneeded(each, now) for each in unneeded)
        for folder in self._unused():
            if found := self._old(folder):
                yield _garbage(folder, found)

    def run(self) -> Iterator[Garbage]:
        """Delete what has to go, and tell each folder that is gone."""
        now = self.clock()
        with self.store.transaction() as tx:
            tx.garbage.mark(now, now - self.window)
        with self.store.transaction() as tx:
            marked = tx.garbage.unneeded(now, now - self.window)
        for each in marked:
            if each.marked_at is not None and each.marked_at <= now - self.grace:
                self._remove(each, now)
        for folder in self._unused():
            found = self._old(folder)
            deleted = self._delete(folder, found)
            if deleted:
                yield _garbage(folder, found[:deleted])

    def _remove(self, unneeded: Unneeded, now: datetime) -> None:
        with self.store.transaction() as tx:
            if tx.garbage.remove(unneeded.digest, self.clock(), now - self.window, now - self.grace):
                told = {"files": unneeded.files, "size": unneeded.size}
                record(tx, Change("bytes.collected", SERVICE, subject=unneeded.digest, after=told), self.clock())

    def _unneeded(self, unneeded: Unneeded, now: datetime) -> Garbage:
        due = (unneeded.marked_at or now) + self.grace
        why = "every version with these bytes was deleted, and nothing else needs them"
        folder = version_prefix(unneeded.digest)
        return Garbage(folder, unneeded.files, unneeded.size, why, None if due <= now else due)

    def _unused(self) -> Iterator[str]:
        """Folders that neither a row nor a claim names."""
        folders = _folders(self.objects)
        while some := list(islice(folders, FOLDERS)):
            with self.store.transaction() as tx:
                unused = tx.references.unused(some, self.clock())
            yield from unused

    def _old(self, folder: str) -> Sequence[ObjectInfo]:
        """The folder's objects, none when one of them was put within the grace period."""
        before = self.clock() - self.grace
        found = list(self.objects.list(folder))
        return [] if any(info.modified is None or info.modified > before for info in found) else found

    def _delete(self, folder: str, found: Sequence[ObjectInfo]) -> int:
        """Answers with the number of objects deleted: fewer when somebody claims the folder meanwhile."""
        deleted = 0
        while some := [info.key for info in found[deleted : deleted + KEYS]]:
            with self.store.transaction() as tx:
                # The one transaction that spans storage: until it ends nobody can claim the folder and miss these keys.
                tx.references.hold()
                if not tx.references.unused([folder], self.clock()):
                    break
                self.objects.delete(some)
                deleted += len(some)
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


def _garbage(folder: str, found: Sequence[ObjectInfo]) -> Garbage:
    return Garbage(folder, len(found), sum(info.size for info in found), _why(folder))


def _why(folder: str) -> str:
    for prefix, why in (
        (ARCHIVES, "no import or upload will read this archive"),
        (PENDING, "the registration that made these copies has ended"),
        (VERSIONS, "no manifest names these bytes"),
    ):
        if folder.startswith(prefix):
            return why
    return "no run, logged model or trace has these artifacts"
