"""A TCP port in front of a Unix socket: the tests' Postgres has no port, and a container needs one."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    target: Path


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(self.server.target))
            back = threading.Thread(target=_copy, args=(upstream, self.request))
            back.start()
            _copy(self.request, upstream)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # either side may be gone
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relay(target: Path) -> Iterator[int]:
    """The port, on the loopback interface, for the length of the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.target = target
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
