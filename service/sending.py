"""Send an export to a registry: a small one in one request, a large one by parts straight to its object store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import requests

from service.packing import Packed

BLOCK = 1024 * 1024
TRIES = 6
"""With pauses of 1, 2, 4, 8 and 16 seconds: a registry or a store that restarts is back by then."""
POLL_SECONDS = 0.5
"""Between looks at an import: one takes seconds to hours, and its address does not wait for the end."""
THREADS = 4
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""A label and a number of bytes; gives what is called with the bytes that are done more."""


class SendError(Exception):
    """The registry or its object store refused, or did not answer; the message is for the user."""


@dataclass(frozen=True)
class Destination:
    """`options` are the query of an import; below `threshold` bytes an export is sent in one request."""

    url: str
    token: str
    workspace: str
    options: Mapping[str, str]
    threshold: int


def send(packed: Packed, to: Destination, progress: Progress, *, wait_for_it: bool = True) -> dict[str, Any]:
    """The import, final unless it is not waited for.

    May be repeated after any failure: parts that arrived are not sent again, and the same export is one import.

    Raises:
        SendError, and what `packed` raises.
    """
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {to.token}"
        registry = _Registry(session, to)
        if packed.size < to.threshold:
            with progress("Sending", packed.size) as done:
                import_ = registry.post("imports", data=packed.read(0, packed.size), params=to.options)
                done(packed.size)
        else:
            import_ = _upload(registry, packed, to, progress)
        while wait_for_it and import_["state"] in ("received", "running"):
            time.sleep(POLL_SECONDS)  # nobody tells when an import is done
            import_ = registry.call("GET", f"/v1/imports/{import_['id']}")
    if import_["problem"]:
        raise SendError(import_["problem"]["detail"])
    if import_["state"] == "cancelled":
        raise SendError("The import was cancelled.")
    return import_


def _upload(registry: _Registry, packed: Packed, to: Destination, progress: Progress) -> dict[str, Any]:
    hasher = hashlib.sha256()
    with progress("Reading", packed.size) as done:
        for block in _Piece(packed, 0, packed.size):
            hasher.update(block)
            done(len(block))
    digest = f"sha256:{hasher.hexdigest()}"
    for import_ in registry.call("GET", registry.inside("imports"), params={"limit": "500"})["imports"]:
        options = {name: value for name, value in import_["options"].items() if value}
        if (import_["archive_digest"], import_["state"], options) == (digest, "done", to.options):
            return dict(import_)
    upload = registry.post("uploads", json={"size": packed.size, "sha256": hasher.hexdigest()})
    place = f"uploads/{upload['id']}"
    with progress("Uploading", packed.size) as done, ThreadPoolExecutor(THREADS) as pool:
        done(sum(part["size"] for part in upload["parts"] if part["there"]))
        with requests.Session() as session:  # without the token, which is not the object store's to know
            waiting = {pool.submit(_put, registry, session, packed, place, part): part for part in upload["urls"]}
            for future in _each(waiting):
                done(waiting[future]["size"])
    return registry.post(f"{place}/complete", params=to.options)


def _each(waiting: Mapping[Future[None], Any]) -> Iterator[Future[None]]:
    """As they are done; the first failure ends all that have not begun."""
    try:
        for future in as_completed(waiting):
            future.result()
            yield future
    finally:
        for future in waiting:
            future.cancel()


def _attempts() -> Iterator[int]:
    """Numbers from 0, with the pauses between them."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(2 ** (attempt - 1))  # whatever restarts needs some time
        yield attempt


def _put(registry: _Registry, session: requests.Session, packed: Packed, place: str, part: Mapping[str, Any]) -> None:
    piece = _Piece(packed, part["offset"], part["size"])
    url, told = part["url"], ""
    for attempt in _attempts():
        if attempt:
            # The first one may have expired while other parts had their turn.
            answer = registry.call("GET", registry.inside(f"{place}/urls"), params={"parts": str(part["number"])})
            url = answer["parts"][0]["url"]
        try:
            response = session.put(url, data=piece, timeout=(10, 300))
        except requests.RequestException as error:
            told = type(error).__name__
            continue
        if response.ok:
            return
        told = str(response.status_code)
    raise SendError(f"Part {part['number']} could not be uploaded ({told}); run the command again to go on.")


class _Piece:
    """Part of the packed bytes, as `requests` streams it: with a length, block by block, from the start each time."""

    def __init__(self, packed: Packed, offset: int, size: int) -> None:
        self._packed = packed
        self._offset = offset
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self._size, BLOCK):
            yield self._packed.read(self._offset + start, min(BLOCK, self._size - start))


class _Registry:
    """The registry's API. Everything asked here may be asked twice."""

    def __init__(self, session: requests.Session, to: Destination) -> None:
        self._session = session
        self._to = to

    def inside(self, place: str) -> str:
        return f"/v1/workspaces/{self._to.workspace}/{place}"

    def post(self, place: str, **given: Any) -> dict[str, Any]:
        return self.call("POST", self.inside(place), **given)

    def call(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """The body of a 2xx. Raises SendError with the problem's detail."""
        told = "does not answer"
        for _ in _attempts():
            try:
                response = self._session.request(method, self._to.url + path, timeout=(10, 300), **given)
            except requests.RequestException as error:
                told = f"does not answer ({type(error).__name__})"
                continue
            if response.ok:
                document: dict[str, Any] = response.json()
                return document
            if response.status_code not in (502, 503, 504):
                raise SendError(_detail(response))
            told = f"answers {response.status_code}"
        raise SendError(f"The registry at {self._to.url} {told}; try again later.")


def _detail(response: requests.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # no answer of a registry
        return f"{response.url.partition('?')[0]} answers {response.status_code}."
