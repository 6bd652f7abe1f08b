"""A connection outside the pool whose every wait has an end, whatever becomes of the server.

psycopg2's asynchronous mode: the wait for the socket is ours, in a thread as in a greenlet.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import psycopg2.extensions as ext
import psycopg2.extras

from service.domain.errors import InvalidInput, Unavailable


class ReadingConnection:
    """Runs one statement at a time, each its own transaction; connects on first use and again after a failure.

    Args:
        given: arguments of `psycopg2.connect`.
        first: what every new connection runs before all else.
        limit: seconds for a statement and, if need be, for connecting. Whoever waits for a turn meanwhile fails with
            the one that takes longer, and not before: a process with much to do is no database that does not answer.
    """

    def __init__(self, given: Mapping[str, Any], first: str, limit: float) -> None:
        self._given = given
        self._first = first
        self._limit = limit
        self._turn = threading.Lock()
        self._connection: Any = None
        self._failures = 0
        self.made = 0

    def rows(self, statement: str, values: tuple[object, ...] = ()) -> tuple[int, list[Any]]:
        """The number of the connection, from 1, and the rows as named tuples.

        Raises Unavailable, InvalidInput for text that no database holds.
        """
        with self._taking_turns(), self._translated():
            until = time.monotonic() + self._limit
            if self._connection is not None:
                with suppress(psycopg2.Error):
                    return self.made, self._run(statement, values, until)
                self._drop()  # an idle connection that was cut is no outage yet: a new one tells
            self._connect(until)
            return self.made, self._run(statement, values, until)

    def wait(self, seconds: float) -> None:
        """Until a notification comes or the time is over. Raises Unavailable when the connection is lost."""
        with self._taking_turns(), self._translated():
            if self._connection is None:
                self._connect(time.monotonic() + self._limit)
            until = time.monotonic() + seconds
            while not self._connection.notifies and (left := until - time.monotonic()) > 0:
                if _readable(self._connection, left):
                    self._connection.poll()
            self._connection.notifies.clear()

    def close(self) -> None:
        self._drop()

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        before = self._failures
        with self._turn:
            if self._failures != before:
                raise _unavailable()
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:  # NUL, a lone surrogate
            raise InvalidInput("A value cannot be stored as text.") from error
        except psycopg2.Error as error:
            self._failures += 1
            self._drop()
            raise _unavailable() from error

    def _connect(self, until: float) -> None:
        self._connection = psycopg2.connect(**self._given, async_=True)
        self.made += 1
        self._settle(until)
        self._run(self._first, (), until)

    def _run(self, statement: str, values: tuple[object, ...], until: float) -> list[Any]:
        cursor = self._connection.cursor(cursor_factory=psycopg2.extras.NamedTupleCursor)
        cursor.execute(statement, values)
        self._settle(until)
        return list(cursor.fetchall()) if cursor.description else []

    def _settle(self, until: float) -> None:
        over = False
        while (state := self._connection.poll()) != ext.POLL_OK:  # also after the time: it may be us who were busy
            if over:
                raise psycopg2.OperationalError("it takes too long")
            left = max(0.0, until - time.monotonic())
            over = not _ready(self._connection, left, writing=state == ext.POLL_WRITE)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg2.Error):
                connection.close()


def _readable(connection: Any, seconds: float) -> bool:
    return _ready(connection, seconds, writing=False)


def _ready(connection: Any, seconds: float, *, writing: bool) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _unavailable() -> Unavailable:
    return Unavailable("The database does not answer; try again in a moment.", part="postgres")
