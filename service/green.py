"""psycopg2 under gevent: while the database works, other greenlets do."""

from __future__ import annotations

from typing import Any

import psycopg2.extensions
from gevent.socket import wait_read, wait_write


def make_psycopg2_green() -> None:
    """Install the wait callback for this process."""
    psycopg2.extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        if state == psycopg2.extensions.POLL_READ:
            wait_read(connection.fileno())
        elif state == psycopg2.extensions.POLL_WRITE:
            wait_write(connection.fileno())
        else:
            raise psycopg2.OperationalError(f"unexpected state {state} while waiting for the database")
