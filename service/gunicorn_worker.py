"""gunicorn's gevent worker, but bodies of requests are received in large blocks.

gunicorn reads a body 8 KiB at a time and gives it on in steps of 1 KiB, which costs more than everything else that
an upload needs.
"""

from __future__ import annotations

import io
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.ggevent import GeventWorker


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
            count = self._buffered(wanted) or (self._unreader.sock.recv_into(wanted) if wanted else 0)
        self._left -= count
        return int(count)

    def _buffered(self, wanted: memoryview) -> int:
        """What came together with the request's head."""
        held = self._unreader.take_buffered()
        count = min(len(held), len(wanted))
        wanted[:count] = held[:count]
        if count < len(held):
            self._unreader.unread(held[count:])
        return count
