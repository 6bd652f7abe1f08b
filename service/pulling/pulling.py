"""One pull, and pulls for ever: what the stage holds is brought here, verified, and made current."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from service.pulling.asking import Api, Listing, Ref, Resolved
from service.pulling.connection import Http
from service.pulling.errors import PullError, Refused, StoreUnavailable, TargetRefused, Unavailable
from service.pulling.fetching import Fetcher, Links, Moved
from service.pulling.manifest import shown
from service.pulling.patience import Sleep, backoff
from service.pulling.placing import Origin, Placed, Target
from service.pulling.progress import Progress
from service.pulling.unpacking import unpack
from service.pulling.verifying import Verifier

STORE_RETRY_FOR = 10.0
"""Seconds for the object store, where the registry itself is another way to the same bytes."""
MOVES = 5
LONGEST_PAUSE = 60.0
WAITED = 1.0
"""Seconds after which an answer to a question with `wait` has waited."""
LEASE = 300
"""Seconds for which the stage is told what is here; told again four times in them."""
NO_WAITING = (400, 422)
"""How a registry answers that does not know `wait`."""


@dataclass(frozen=True)
class Pulled:
    """`path` holds this version now; `changed` tells whether it did not before. `offline`: without the registry."""

    model: str
    version: int
    digest: str
    path: Path
    changed: bool
    offline: bool = False


Hook = Callable[[Pulled], None]
"""Called after a change; raises PullError when it has to be called again."""


@dataclass(frozen=True)
class Options:
    """`keep`: versions before the current one; `jobs`: files at once; `via`: auto, files or archive; `instance`: the id
    under which the stage is told what is here; `verify_keys`: files of public keys, one of which has to have signed."""

    keep: int = 1
    jobs: int = 8
    via: str = "auto"
    retry_for: float = 60.0
    instance: str = ""
    verify_keys: tuple[Path, ...] = ()


def unasked() -> Unavailable:
    """As a cache in between may answer, which has seen an ETag of its own."""
    return Unavailable("The registry answers 304 to a question without an ETag.")


class Puller:
    """Of one stage to one target."""

    def __init__(
        self,
        api: Api,
        http: Http,
        ref: Ref,
        target: Target,
        options: Options,
        progress: Progress,
        hook: Hook | None = None,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._api = api
        self._http = http
        self._ref = ref
        self._target = target
        self._options = options
        self._progress = progress
        self._hook = hook
        self._sleep = sleep
        self._told = ("", 0.0)
        self._verifier = Verifier(options.verify_keys) if options.verify_keys else None

    def once(self) -> Pulled:
        """Raises PullError."""
        with self._target.locked():
            resolved = self._api.resolve(self._ref)
            if resolved is None:
                raise unasked()
            pulled = self._pull(resolved)
            self._pay(pulled)
            self._tell()
            return pulled

    def follow(self, interval: float, wait: int) -> Iterator[Pulled]:
        """The first pull and then each change, for ever. Trouble is told and tried again; raises TargetRefused only.

        `wait` seconds the registry may hold the answer back until something changes; one that does not is asked every
        `interval` seconds, more or less.
        """
        with self._target.locked():
            etag, failures, waits = "", 0, True
            pulled: Pulled | None = None
            while True:
                began = time.monotonic()
                try:
                    resolved = self._api.resolve(self._ref, etag, 0 if self._owes() else wait)
                    if resolved is not None:
                        pulled = self._pull(resolved)
                        first, etag = not etag, resolved.etag
                        if pulled.changed or first:
                            yield pulled
                    elif pulled is None:
                        raise unasked()
                    self._pay(pulled)
                    failures = 0
                    self._tell()
                except TargetRefused:
                    raise
                except (PullError, OSError) as error:
                    if isinstance(error, Refused) and error.status in NO_WAITING and wait and etag:
                        wait = 0
                        continue
                    self._pause(error, failures)
                    failures += 1
                    continue
                if resolved is None:
                    waited = time.monotonic() - began >= WAITED
                    if not waited:
                        self._sleep(random.uniform(0.8, 1.2) * (1.0 if waits else interval))  # noqa: S311
                    waits = waited

    def _pull(self, resolved: Resolved) -> Pulled:
        placed = self._here(resolved) or self._bring()
        if self._hook and not self._target.leads_to(placed):
            self._target.owe(placed)
        changed = self._target.swap(placed)
        self._target.clean(self._options.keep)
        return Pulled(placed.origin.model, placed.origin.version, placed.manifest.digest, self._target.path, changed)

    def _here(self, resolved: Resolved) -> Placed | None:
        """What the stage holds, if it is here already: maybe for another stage, as another version with the same bytes,
        or without a look at its signature."""
        placed = self._target.intact(resolved.digest)
        if placed is None:
            return None
        signatures = placed.origin.signatures
        if self._verifier is not None:
            listing = self._api.files(self._ref)
            if listing.manifest.digest != placed.manifest.digest:
                return None  # the stage has changed since
            self._verifier.check(listing.manifest, listing.signatures)
            signatures = listing.signatures
        return self._target.confirm(placed, Origin(str(self._ref), resolved.model, resolved.version, signatures))

    def _bring(self) -> Placed:
        """What the stage holds, as a folder that is complete."""
        for _ in range(MOVES):
            listing = self._api.files(self._ref)
            if self._verifier is not None:
                self._verifier.check(listing.manifest, listing.signatures)
            staging = self._target.staging(listing.manifest)
            try:
                self._fetch(listing, staging)
            except Moved:
                continue
            origin = Origin(str(self._ref), listing.model, listing.version, listing.signatures)
            return self._target.accept(staging, origin, listing.manifest)
        raise Unavailable(f"{self._ref} changes faster than it can be pulled.")

    def _fetch(self, listing: Listing, staging: Path) -> None:
        manifest, options, progress = listing.manifest, self._options, self._progress
        label = f"{shown(listing.model)} version {listing.version}"
        if options.via != "archive":
            patience = options.retry_for if options.via == "files" else min(options.retry_for, STORE_RETRY_FOR)
            links = Links(self._api, self._ref, listing)
            progress.start(label, manifest.size)
            try:
                fetcher = Fetcher(self._http, links, staging, progress.advance, patience)
                return fetcher.fetch(manifest.files, options.jobs)
            except StoreUnavailable as error:
                if options.via == "files":
                    raise
                progress.warn(f"{error} Trying the registry's archive.")
            finally:
                progress.end()
        progress.start(f"{label}, archive", manifest.size)
        try:
            unpack(self._api, self._ref, manifest, staging, progress.advance, options.retry_for)
        finally:
            progress.end()

    def _tell(self) -> None:
        """Let the stage know what is here. That it does not hear it is not the pull's failure."""
        placed, instance, now = self._target.current(), self._options.instance, time.monotonic()
        if not instance or placed is None:
            return
        digest = placed.manifest.digest
        if self._told[0] == digest and now - self._told[1] < LEASE / 4:
            return
        try:
            self._api.tell(self._ref, instance, digest, LEASE)
        except PullError as error:
            self._progress.warn(f"The stage was not told what runs here: {error}")
        else:
            self._told = (digest, now)

    def _owes(self) -> bool:
        return self._hook is not None and self._target.owed()

    def _pay(self, pulled: Pulled) -> None:
        """Call the hook if that is owed. Raises what it raises, and it stays owed."""
        if self._hook and self._target.owed():
            self._hook(pulled)
            self._target.paid()

    def _pause(self, error: Exception, failures: int) -> None:
        asked = error.retry_after if isinstance(error, Unavailable) else 0.0
        delay = max(backoff(failures, LONGEST_PAUSE), asked)
        self._progress.warn(f"{error} Trying again in {delay:.0f} s.")
        self._sleep(delay)
