"""What the supervisor expects of every part it runs, and the small questions all parts ask."""

from __future__ import annotations

import socket
import time
from typing import Protocol

LOOPBACK = "127.0.0.1"
READY_SECONDS = 120.0


class PartError(Exception):
    """A part cannot start or has ended. `log` holds the last lines it wrote."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Awaited(Protocol):
    """`ready` does not wait; it raises PartError when the part has ended."""

    @property
    def name(self) -> str: ...

    def ready(self) -> bool: ...


class Part(Awaited, Protocol):
    """One supervised program.

    `prepare` may be slow and may run in any thread. `launch` must run in a thread that lives as long as
    the part shall: Linux ties the part's life to that thread. `stop` returns whether the part was
    running until then.
    """

    def prepare(self) -> None: ...

    def launch(self) -> None: ...

    def exit_code(self) -> int | None: ...

    def check(self) -> None: ...

    def stop(self) -> bool: ...


def await_ready(part: Awaited, seconds: float = READY_SECONDS) -> None:
    """Wait until a launched part is ready.

    Raises:
        PartError: it ended, or was not ready in time.
    """
    deadline = time.monotonic() + seconds
    while not part.ready():
        if time.monotonic() > deadline:
            raise PartError(f"{part.name} was not ready after {seconds:.0f} s")
        time.sleep(0.02)  # it answers when asked, and whoever starts it waits


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int, seconds: float = 3.0) -> bool:
    """Whether `port` is free now, or soon: a killed process keeps its port for a moment longer than its name."""
    deadline = time.monotonic() + seconds
    while not _can_bind(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # nobody is told when a port becomes free
    return True


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def http_status(port: int, path: str) -> int | None:
    """The status of `GET http://127.0.0.1:port/path`, None while nobody answers properly.

    Spoken by hand because `http.client` would load TLS and e-mail code into a process that stays for months.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
            connection.sendall(request.encode())
            words = connection.makefile("rb").readline(1024).split()
    except OSError:
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
