"""The registry's API, as much of it as a puller needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.pulling.connection import Body, Http, split
from service.pulling.errors import Damaged, PullError, Refused, Unavailable
from service.pulling.manifest import Manifest, read_manifest, shown
from service.pulling.patience import Patience

ANSWER_LIMIT = 256 * 1024 * 1024
BLOCK = 64 * 1024
RETRY_AFTER_LIMIT = 60.0


@dataclass(frozen=True)
class Ref:
    """A stage of an environment, of one model: `prod/orders/Production`."""

    environment: str
    model: str
    stage: str

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Raises ValueError."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):
            raise ValueError(f"{text!r} is not of the form ENVIRONMENT/MODEL/STAGE")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.environment}/{self.model}/{self.stage}"

    @property
    def path(self) -> str:
        environment, model, stage = (quote(part, safe="") for part in (self.environment, self.model, self.stage))
        return f"/v1/environments/{environment}/models/{model}/stages/{stage}"


@dataclass(frozen=True)
class Resolved:
    """What a stage holds; `etag` is for asking again."""

    model: str
    version: int
    digest: str
    etag: str


@dataclass(frozen=True)
class Listing:
    """A version's files; `urls` by path, good for a while without a token. `signatures` is what was sent as these."""

    model: str
    version: int
    manifest: Manifest
    urls: Mapping[str, str]
    signatures: object = None


class Token:
    """A secret, or the file that holds it: read for each request, since what mounts it also replaces it."""

    def __init__(self, given: str | Path) -> None:
        self._given = given

    def value(self) -> str:
        """Raises PullError when it cannot be read, or cannot be a token."""
        try:
            given = self._given if isinstance(self._given, str) else self._given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PullError(f"The token file {self._given} cannot be read: {error}.") from error
        if not (given.isascii() and given.strip().isprintable()):
            raise PullError("The token has characters that no token has.")
        return given.strip()


class Api:
    """Each call is tried again for `retry_for` seconds while the registry does not answer."""

    def __init__(self, url: str, token: Token, http: Http, retry_for: float) -> None:
        if split(url) is None:
            raise PullError(f"{shown(url)!r} is not the http(s) address of a registry.")
        self._url = url.rstrip("/")
        self._token = token
        self._http = http
        self._retry_for = retry_for

    def resolve(self, ref: Ref, etag: str = "", wait: int = 0) -> Resolved | None:
        """What the stage holds; None when it is still what `etag` says, `wait` seconds later if it is given.

        Raises Refused, Unavailable.
        """
        path = ref.path + (f"?wait={wait}" if wait and etag else "")
        found = self._document(path, {"If-None-Match": etag} if etag else {}, more_time=wait)
        if found is None:
            return None
        document, headers = found
        version, digest = document.get("version"), document.get("digest")
        if not isinstance(version, int) or not isinstance(digest, str):
            raise Refused(f"{self._url} does not answer as a model registry.")
        return Resolved(str(document.get("model")), version, digest, headers.get("ETag", ""))

    def files(self, ref: Ref) -> Listing:
        """Raises Refused, Unavailable, Damaged."""
        found = self._document(ref.path + "/files", {})
        document = found[0] if found else {}
        rows = document.get("files")
        manifest = read_manifest(rows, document.get("digest"))
        urls = {row["path"]: str(row.get("url", "")) for row in rows or []}
        version = document.get("version")
        if not isinstance(version, int):
            raise Refused(f"{self._url} does not answer as a model registry.")
        return Listing(str(document.get("model")), version, manifest, urls, document.get("signatures"))

    @contextmanager
    def archive(self, ref: Ref) -> Iterator[Body]:
        """One tar of the stage's files, tried once. Raises Refused, Unavailable, Damaged."""
        with self._answer(ref.path + "/archive", {}) as body:
            yield body

    def tell(self, ref: Ref, instance: str, digest: str, seconds: int) -> None:
        """That `instance` runs `digest`, for so long; tried once. Raises Refused, Unavailable."""
        content = json.dumps({"digest": digest, "lease_seconds": seconds}).encode()
        headers = {"Content-Type": "application/json"}
        with self._answer(f"{ref.path}/instances/{quote(instance, safe='')}", headers, content=content) as body:
            _all(body)

    def _document(
        self, path: str, headers: Mapping[str, str], more_time: float = 0.0
    ) -> tuple[dict[str, Any], Message] | None:
        """The JSON of a 200 with its headers, None for a 304."""
        patience = Patience(self._retry_for)
        while True:
            try:
                with self._answer(path, headers, more_time) as body:
                    data = _all(body)
                    if body.status == 304:
                        return None
                    return _parsed(data, self._url), body.headers
            except Unavailable as error:
                patience.wait(error)

    @contextmanager
    def _answer(
        self, path: str, headers: Mapping[str, str], more_time: float = 0.0, content: bytes | None = None
    ) -> Iterator[Body]:
        """A 2xx or 304, to a GET, or a PUT of `content`. A 401 is asked again once, with the token of then."""
        for last in (False, True):
            secret = self._token.value()
            given = {**headers, "Authorization": f"Bearer {secret}"} if secret else headers
            with self._http.ask(self._url + path, given, content=content, more_time=more_time) as body:
                if body.status == 401 and not last and self._token.value() != secret:
                    continue
                if not (200 <= body.status < 300 or body.status == 304):
                    raise self._problem(body)
                yield body
                return

    def _problem(self, body: Body) -> PullError:
        """What an answer that is no success means, in the registry's own words where it has some."""
        document: dict[str, Any] = {}
        if "json" in body.headers.get("Content-Type", ""):
            try:
                document = _parsed(_all(body), self._url)
            except PullError:
                document = {}
        title, detail = document.get("title"), document.get("detail")
        told = shown(f"{title}: {detail}") if title and detail else f"{self._url} answers {body.status}."
        if str(document.get("type", "")).endswith(":damaged"):
            return Damaged(
                f"{told} The registry's operator has to restore it; `model-registry scrub` names all of them."
            )
        if body.status == 429 or body.status >= 500:
            return Unavailable(told, _retry_after(body))
        if 300 <= body.status < 400:
            place = shown(body.headers.get("Location", "elsewhere"))
            return Refused(f"{self._url} redirects to {place}; give the registry's own address.", body.status)
        return Refused(told, body.status)


def _all(body: Body) -> bytes:
    """The whole body. Raises Unavailable when it ends early."""
    blocks, size = [], 0
    while block := body.read(BLOCK):
        blocks.append(block)
        size += len(block)
        if size > ANSWER_LIMIT:
            raise Refused("The registry's answer is too large.")
    if body.length is not None and size < body.length and body.status != 304:
        raise Unavailable("The registry's answer broke off.")
    return b"".join(blocks)


def _parsed(data: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{url} does not answer as a model registry.") from error
    if not isinstance(document, dict):
        raise Refused(f"{url} does not answer as a model registry.")
    return document


def _retry_after(body: Body) -> float:
    given = body.headers.get("Retry-After", "")
    return min(float(given), RETRY_AFTER_LIMIT) if given.isdecimal() else 0.0
