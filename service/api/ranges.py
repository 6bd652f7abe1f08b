"""HTTP ranges of answers whose length and ETag are known (RFC 9110, section 14): one range, or the whole."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request, Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable


@dataclass(frozen=True)
class Span:
    """Bytes from `start` up to, without, `stop`; `partial` if that was asked for."""

    start: int
    stop: int
    partial: bool = False

    @property
    def length(self) -> int:
        return self.stop - self.start


def asked_span(request: Request, size: int, etag: str) -> Span:
    """What of `size` bytes is to be sent; all, too, if the range is no single one of bytes or If-Range of another ETag.

    Raises RequestedRangeNotSatisfiable for a range that begins at the end or after it.
    """
    whole = Span(0, size)
    wanted = request.range
    if request.method != "GET" or wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return whole
    if request.headers.get("If-Range", f'"{etag}"').strip() != f'"{etag}"':  # a weak one or a date never fits
        return whole
    start, stop = wanted.ranges[0]
    if start < 0:  # that many from the end
        start = max(0, size + start)
    if start >= size:
        raise RequestedRangeNotSatisfiable(size)
    return Span(start, size if stop is None else min(stop, size), partial=True)


def apply_span(response: Response, span: Span, size: int) -> None:
    """Status, length and Content-Range."""
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = span.length
    if span.partial:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
