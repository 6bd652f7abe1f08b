"""Answers with bytes of versions: by URL, whole, by range, or packed."""

from __future__ import annotations

import base64
import mimetypes
import zlib
from collections.abc import Iterator
from urllib.parse import quote

import zstandard
from flask import Response, request

from service.api import byte_payloads as bp
from service.api import model_payloads as mp
from service.api.answers import answer
from service.api.auth import principal
from service.api.ranges import apply_span, asked_span
from service.usecases.hand_out import FileLink, Find, HandOutBytes

ONCE = "private, no-store"
CHECKED = "private, no-cache"
FOR_EVER = "private, max-age=31536000, immutable"
"""Of an address with the digest in it."""
CODINGS = ("zstd", "gzip")


def manifest_answer(source: HandOutBytes, find: Find, cache: str) -> Response:
    _, manifest = source.manifest(principal(), find)
    files = [mp.StoredFileOut(**vars(file)) for file in manifest.files]
    shown = bp.ManifestOut(digest=manifest.digest, size=manifest.size, files=files)
    response = answer(shown, headers={"Cache-Control": cache, "ETag": f'"{manifest.digest}"'})
    response.make_conditional(request)
    return response


def link_answer(source: HandOutBytes, find: Find, path: str, seconds: int) -> Response:
    """307 to where the file is."""
    _, (link,) = source.links(principal(), find, seconds, path)
    headers = {"Location": link.url, "Cache-Control": ONCE, "X-Content-SHA256": link.file.sha256}
    return Response(status=307, headers=headers)


def file_answer(source: HandOutBytes, find: Find, path: str, cache: str) -> Response:
    found, file = source.file(principal(), find, path)
    span = asked_span(request, file.size, file.sha256)
    response = Response(mimetype=mimetypes.guess_type(path)[0] or "application/octet-stream")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    _tell(response, found.digest, file.sha256, file.sha256, cache)
    if response.status_code == 200:
        apply_span(response, span, file.size)
        if request.method == "GET":
            response.response = _started(source.file_blocks(found.digest, file, span.start, span.stop))
    return response


def archive_answer(source: HandOutBytes, find: Find, cache: str) -> Response:
    found, tar = source.tar(principal(), find)
    coding = _coding()
    etag = f"{found.digest}-{coding}" if coding else found.digest
    span = asked_span(request, tar.size, etag)
    response = Response(mimetype="application/x-tar")
    response.headers["Content-Disposition"] = f'attachment; filename="{found.digest.replace(":", "-")}.tar"'
    response.headers["Vary"] = "Accept-Encoding"
    _tell(response, found.digest, etag, "" if coding else tar.sha256, cache)
    if response.status_code != 200:
        return response
    if not coding:
        apply_span(response, span, tar.size)
        if request.method == "GET":
            response.response = _started(tar.blocks(span.start, span.stop))
        return response
    del response.headers["Content-Length"]
    response.headers["Content-Encoding"] = coding
    if request.method == "GET":
        response.response = _started(_coded(tar.blocks(0, tar.size), coding))
    return response


def _tell(response: Response, digest: str, etag: str, sha256: str, cache: str) -> None:
    """The headers of bytes that never change; 304 when the client has them. `sha256` is of the whole, if known."""
    response.headers.update({"ETag": f'"{etag}"', "X-Model-Digest": digest, "Cache-Control": cache})
    if sha256:
        response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
    response.make_conditional(request)


def _coding() -> str:
    """One that the client names while it names nothing that is not offered.

    Libraries send lists of their own accord; they are better served with a length, and ranges.
    """
    named = [name for name, quality in request.accept_encodings if quality and name != "identity"]
    return next((coding for coding in CODINGS if coding in named), "") if set(named) <= set(CODINGS) else ""


def _coded(blocks: Iterator[bytes], coding: str) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31) if coding == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    for block in blocks:
        if packed := packer.compress(block):
            yield packed
    yield packer.flush()


def _started(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks. The first is made now, while an error can still be told."""
    first = next(blocks, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from blocks

    return rest()


def file_links(links: list[FileLink]) -> list[mp.FileOut]:
    return [mp.FileOut(**vars(link.file), url=link.url) for link in links]
