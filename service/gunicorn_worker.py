"""gunicorn's gevent worker, but bodies of requests are received in large blocks.

gunicorn reads a body 8 KiB at a time and gives it on in steps of 1 KiB, which costs more than everything else that
an upload needs.
"""

from __future__ import annotations

import io
import socket
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.ggevent import GeventWorker

AT_ONCE = 128 * 1024
"""Bytes that are waited for together, unless the client has sent its last."""


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        reader = req.body.reader if req.body is not None else None
        if isinstance(reader, LengthReader) and reader.length and isinstance(reader.unreader, SocketUnreader):
            req.body = io.BufferedReader(LongBody(reader.unreader, reader.length))
        super().handle_request(listener_name, req, sock, addr)


class LongBody(io.RawIOBase):
    """The `length` bytes that follow in the connection, fewer if the client closes it before."""

    def __init__(self, unreader: Any, length: int) -> None:
        super().__init__()
        self._unreader = unreader
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer)[: self._left] as wanted:
            count = self._buffered(wanted) or self._received(wanted)
        self._left -= count
        return count

    def _received(self, wanted: memoryview) -> int:
        """A client may send in pieces of 16 KiB; to wake up for each costs more than to take it in."""
        if not wanted:
            return 0
        sock: socket.socket = self._unreader.sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(len(wanted), AT_ONCE))
        try:
            return sock.recv_into(wanted)
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _buffered(self, wanted: memoryview) -> int:
        """What came together with the request's head."""
        held = self._unreader.take_buffered()
        count = min(len(held), len(wanted))
        wanted[:count] = held[:count]
        if count < len(held):
            self._unreader.unread(held[count:])
        return count
