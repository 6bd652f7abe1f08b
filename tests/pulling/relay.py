"""A TCP port in front of another one: slow, or shut, when a test says so."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import suppress

BLOCK = 8192


class Relay(socketserver.ThreadingTCPServer):
    """`rate`: bytes a second of each connection, None for all it can; `shut` breaks all of them.

    `connections` that came, and bytes `given` to clients, count up.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.rate: int | None = None
        self.shut = False
        self.connections = 0
        self.given = 0
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        relay = self.server
        assert isinstance(relay, Relay)
        relay.connections += 1
        if relay.shut:
            return
        with suppress(OSError), socket.create_connection(("127.0.0.1", relay.target)) as upstream:
            there = threading.Thread(target=_copy, args=(relay, self.request, upstream, False))
            there.start()
            _copy(relay, upstream, self.request, True)
            there.join()


def _copy(relay: Relay, source: socket.socket, target: socket.socket, slow: bool) -> None:
    with suppress(OSError):  # either side may be gone
        while not relay.shut and (data := source.recv(BLOCK)):
            target.sendall(data)
            relay.given += len(data) if slow else 0
            if slow and relay.rate:
                time.sleep(len(data) / relay.rate)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR if relay.shut else socket.SHUT_WR)
