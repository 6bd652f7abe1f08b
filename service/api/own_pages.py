"""Which requests browsers send from our own pages: credentials that a browser adds by itself prove nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request

READING = ("GET", "HEAD")
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """As browsers write it."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def from_own_page(origin: str) -> bool | None:
    """Whether a page of that origin, or the user at the address bar, sent the request; None when it does not tell."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    sender = request.headers.get("Origin")
    return None if sender is None else sender == origin


def sent_by_another_site(origin: str) -> bool:
    """Whether another site's page sent what may change something."""
    return request.method not in READING and from_own_page(origin) is False
