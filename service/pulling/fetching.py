"""A version's files from their presigned URLs, several at once, each going on where it broke off."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from service.pulling.asking import Api, Listing, Ref
from service.pulling.connection import Body, Http
from service.pulling.errors import Damaged, PullError, StoreUnavailable, Unavailable
from service.pulling.manifest import File, shown
from service.pulling.patience import Patience
from service.pulling.staging import BLOCK, Partial, partial

Advance = Callable[[int], None]
"""Called with the bytes that are there more; fewer than 0 when they were thrown away."""


class Moved(PullError):
    """The stage holds another version by now."""


class _Stopped(Exception):
    """Another file failed."""


class Links:
    """The presigned URLs of a listing, asked for anew when they are used up. Any number of threads."""

    def __init__(self, api: Api, ref: Ref, listing: Listing) -> None:
        self._api = api
        self._ref = ref
        self._listing = listing
        self._lock = threading.Lock()

    def url(self, path: str) -> str:
        with self._lock:
            return self._listing.urls.get(path, "")

    def renew(self, path: str, used: str) -> None:
        """Raises Moved, Refused, Unavailable."""
        with self._lock:
            if self._listing.urls.get(path) != used:
                return  # another thread was here first
            listing = self._api.files(self._ref)
            if listing.manifest.digest != self._listing.manifest.digest:
                raise Moved(f"{self._ref} has changed meanwhile.")
            self._listing = listing


class Fetcher:
    """Brings files to `folder`. `retry_for`: seconds without a byte after which the object store is given up."""

    def __init__(self, http: Http, links: Links, folder: Path, advance: Advance, retry_for: float) -> None:
        self._http = http
        self._links = links
        self._folder = folder
        self._advance = advance
        self._retry_for = retry_for
        self._stop = threading.Event()

    def fetch(self, files: Iterable[File], jobs: int) -> None:
        """Raises Damaged, StoreUnavailable, Unavailable, Refused, Moved; what came so far stays for the next time."""
        largest_first = sorted(files, key=lambda file: -file.size)
        with ThreadPoolExecutor(jobs) as pool:
            try:
                futures = [pool.submit(self._one, file) for file in largest_first]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
        errors = [error for error in (future.exception() for future in futures) if error]
        for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
            raise error

    def _one(self, file: File) -> None:
        if self._stop.is_set():
            raise _Stopped
        try:
            with partial(self._folder, file) as there:
                self._advance(there.size)
                for _ in range(2):  # once more from the start: what was there before may have been wrong
                    self._complete(file, there)
                    if there.is_all_of(file):
                        return
                    self._advance(-there.size)
                    there.restart()
        except BaseException:
            self._stop.set()
            raise
        self._stop.set()
        raise damaged(file, "are not the ones that were registered")

    def _complete(self, file: File, there: Partial) -> None:
        """All bytes, if not the right ones."""
        patience = Patience(self._retry_for, self._sleep)
        refused = False
        while there.size < file.size:
            url, before = self._links.url(file.path), there.size
            try:
                refused = not self._get(url, file, there, refused)
            except Unavailable as error:
                if there.size > before:
                    patience.renew()
                    refused = False
                patience.wait(error)
            else:
                if refused:
                    self._links.renew(file.path, url)

    def _get(self, url: str, file: File, there: Partial, refused: bool) -> bool:
        """As many bytes as come; false when the URL is not good any more."""
        headers = {"Range": f"bytes={there.size}-"} if there.size else {}
        with self._asked(url, headers) as body:
            if body.status in (401, 403, 400) and not refused:
                return False
            if body.status == 416 or (body.status == 200 and there.size):
                self._advance(-there.size)
                there.restart()
                if body.status == 416:
                    return True
            self._check(body, file, there.size)
            self._copy(body, file, there)
        return True

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Iterator[Body]:
        """The object store's trouble is told apart from the registry's."""
        try:
            with self._http.ask(url, headers) as body:
                yield body
        except Unavailable as error:
            raise StoreUnavailable(f"The object store: {error}.", error.retry_after) from error

    def _check(self, body: Body, file: File, offset: int) -> None:
        if body.status == 404:
            raise damaged(file, "are missing in the object store")
        if body.status not in (200, 206):
            raise Unavailable(f"the other end answers {body.status}")
        if body.status == 206 and not body.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise Unavailable("the other end answers with another part than was asked for")
        if body.length is not None and body.length != file.size - offset:
            raise damaged(file, f"are {offset + body.length} and not {file.size} bytes")

    def _copy(self, body: Body, file: File, there: Partial) -> None:
        buffer = memoryview(bytearray(min(BLOCK, max(file.size - there.size, 1))))
        while count := body.readinto(buffer):
            if self._stop.is_set():
                raise _Stopped
            if there.size + count > file.size:
                raise damaged(file, f"are more than {file.size}")
            there.write(buffer[:count])
            self._advance(count)
        if there.size < file.size:
            raise Unavailable("the other end ends the connection early")

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped


def damaged(file: File, what: str) -> Damaged:
    return Damaged(
        f"The stored bytes of {shown(file.path)!r} {what}. Nothing was placed. The registry's operator has to restore "
        f"them (SHA-256 {file.sha256}); `model-registry scrub` names everything that is damaged."
    )
