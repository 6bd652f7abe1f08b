"""Verify stored bytes: every object of a digest is read and hashed, and each that is not as registered is named."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.layout import version_prefix
from service.domain.model import ManifestFile
from service.usecases.mark_damage import mark_damage
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import Clock, RegistryStore

BLOCK = 1024 * 1024
AT_ONCE = 64
"""Files whose results are waited for; each thread holds one block."""
DIGESTS = 100


class Pace:
    """Lets at most `rate` bytes a second through, 0: as many as come; shared by all threads."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def spend(self, size: int) -> None:
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next, now) + size / self._rate
            wait = self._next - now
        time.sleep(wait)


@dataclass(frozen=True)
class DamagedFile:
    """`path` within the model, `key` in the bucket, `what` is wrong."""

    path: str
    key: str
    what: str


@dataclass(frozen=True)
class Scrubbed:
    """A digest whose objects were read: how much, what was wrong, and each version of these bytes with its places."""

    digest: str
    files: int
    size: int
    damaged: Sequence[DamagedFile] = ()
    versions: Sequence[tuple[str, int, Sequence[Place]]] = ()


@dataclass(frozen=True)
class Scrubber:
    """Reads `threads` objects at once; memory stays flat whatever their number and size."""

    store: RegistryStore
    objects: ObjectStore
    clock: Clock
    threads: int = 4
    pace: Pace = field(default_factory=lambda: Pace(0))

    def due(self, before: datetime) -> Iterator[str]:
        """Digests that were not verified at or after `before`, in order; what ends is gone on with by the next call."""
        after = ""
        while True:
            with self.store.transaction() as tx:
                found = tx.checks.due(before, DIGESTS, after)
            if not found:
                return
            yield from found
            after = found[-1]

    def run(self, digests: Iterable[str]) -> Iterator[Scrubbed]:
        for digest in digests:
            found = self.scrub(digest)
            if found is not None:
                yield found

    def scrub(self, digest: str) -> Scrubbed | None:
        """Verify one digest and write down what was found; None when it has been collected meanwhile.

        Raises NotFound(kind="digest"), or Unavailable, when nothing is written down.
        """
        began = self.clock()  # what is marked from now on was seen after this saw it, or not at all
        with self.store.transaction() as tx:
            manifest = tx.models.manifest(digest)
        prefix = version_prefix(digest)
        damaged: list[DamagedFile] = []
        with ThreadPoolExecutor(self.threads, thread_name_prefix="scrub") as pool:
            files = iter(manifest.files)
            while some := list(islice(files, AT_ONCE)):
                for file, what in zip(some, pool.map(lambda each: self._wrong(prefix, each), some), strict=True):
                    if what:
                        damaged.append(DamagedFile(file.path, prefix + file.path, what))
        with self.store.transaction() as tx:
            if not tx.models.has_manifest(digest):
                return None
            tx.checks.checked(digest, self.clock())
            reasons = {each.path: f"The object of {each.path!r} is damaged: {each.what}." for each in damaged}
            tx.damages.clear(digest, began, but=reasons)
            for path, reason in reasons.items():
                mark_damage(tx, digest, path, reason, self.clock())
            named = tx.checks.versions(digest) if damaged else []
            versions = [(model, number, tx.stages.holding(model, number)) for model, number in named]
        return Scrubbed(digest, len(manifest.files), manifest.size, damaged, versions)

    def _wrong(self, prefix: str, file: ManifestFile) -> str:
        """What is wrong with the object of the file; '' when nothing is."""
        hasher = hashlib.sha256()
        size = 0
        try:
            with self.objects.open(prefix + file.path) as body:
                while block := body.read(BLOCK):
                    hasher.update(block)
                    size += len(block)
                    self.pace.spend(len(block))
        except NotFound:
            return "missing"
        if size != file.size:
            return f"{size} bytes instead of {file.size}"
        if hasher.hexdigest() != file.sha256:
            return f"SHA-256 is {hasher.hexdigest()} instead of {file.sha256}"
        return ""
