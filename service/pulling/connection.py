"""HTTP/1.1 over kept connections. Follows no redirect, and says in words why a host does not answer."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from urllib.parse import SplitResult, unquote, urlsplit

from service.pulling.errors import Unavailable

CONNECT_SECONDS = 10.0
AGENT = "model-registry-pull/1"
Key = tuple[str, str]


class Body:
    """An answer: its status and headers, and its body, read once."""

    def __init__(self, response: http.client.HTTPResponse, host: str) -> None:
        self._response = response
        self._host = host
        self.status = response.status
        self.headers: Message = response.headers

    def readinto(self, buffer: memoryview) -> int:
        """0 at the end, also when the connection ended too early: compare with Content-Length.

        Raises Unavailable.
        """
        try:
            return self._response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise broken(self._host, error) from error

    def read(self, size: int) -> bytes:
        """As `readinto`."""
        try:
            return self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise broken(self._host, error) from error

    @property
    def length(self) -> int | None:
        """What Content-Length says."""
        given = self.headers.get("Content-Length", "")
        return int(given) if given.isdecimal() else None

    @property
    def all_read(self) -> bool:
        return self._response.isclosed()


class Http:
    """Any number of threads; `timeout` is what one read may last."""

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: dict[Key, list[http.client.HTTPConnection]] = {}
        self._context: ssl.SSLContext | None = None

    @contextmanager
    def ask(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        content: bytes | None = None,
        more_time: float = 0.0,
    ) -> Iterator[Body]:
        """The answer to a GET, or to a PUT of `content`, whatever its status. What stays unread costs the connection.

        Raises Unavailable.
        """
        parts = split(url)
        if parts is None:
            raise Unavailable("there is no usable address")
        connection, response = self._send(parts, content, headers, self._timeout + more_time)
        body = Body(response, parts.netloc)
        try:
            yield body
        except BaseException:
            connection.close()
            raise
        if body.all_read and connection.sock is not None:
            with self._lock:
                self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)
        else:
            connection.close()
        response.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _send(
        self,
        parts: SplitResult,
        content: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        address = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = _proxy(parts)
        given = {"Accept-Encoding": "identity", "User-Agent": AGENT, **headers}
        if proxy and parts.scheme == "http":
            address = f"http://{parts.netloc}{address}"
            given.update(_proxy_headers(proxy))
        while True:
            kept, connection = self._connection(parts, proxy)
            try:
                if connection.sock is None:
                    connection.connect()
                connection.sock.settimeout(timeout)
                connection.request("GET" if content is None else "PUT", address, content, given)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if not kept or isinstance(error, socket.timeout):  # the host may have ended a kept one meanwhile
                    raise broken(parts.netloc, error) from error

    def _connection(self, parts: SplitResult, proxy: SplitResult | None) -> tuple[bool, http.client.HTTPConnection]:
        """Whether it is a kept one, and the connection."""
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            if idle:
                return True, idle.pop()
        to = proxy or parts
        host = to.hostname or ""
        if parts.scheme == "http":
            return False, http.client.HTTPConnection(host, to.port or 80, timeout=CONNECT_SECONDS)
        port = to.port or (443 if to is parts else 80)
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=self._tls())
        if proxy:
            connection.set_tunnel(parts.hostname or "", parts.port or 443, _proxy_headers(proxy))
        return False, connection

    def _tls(self) -> ssl.SSLContext:
        """Trusts what the system, or SSL_CERT_FILE, trusts."""
        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context()
            return self._context


def split(url: str) -> SplitResult | None:
    """The parts of an http(s) address; None for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def broken(host: str, error: Exception) -> Unavailable:
    told = str(error) if isinstance(error, (OSError, http.client.HTTPException)) else ""
    host = host.rpartition("@")[2]
    return Unavailable(f"{host} does not answer ({type(error).__name__}{': ' if told else ''}{told})")


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The one that the environment asks to use: HTTP_PROXY, HTTPS_PROXY, NO_PROXY."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # only needed here

    url = getproxies().get(parts.scheme)
    if not url or proxy_bypass(parts.netloc):
        return None
    return urlsplit(url if "://" in url else f"http://{url}")


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
