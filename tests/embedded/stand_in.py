"""Stands in for the service's programs in tests of the supervisor: starts at once, needs no schema.

Run as `python stand_in.py ROLE [PORT]`. Each role notes in `events` of its working directory what it does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import FrameType
from urllib.parse import parse_qs, urlsplit


def note(text: str) -> None:
    with Path("events").open("a") as events:
        events.write(f"{text}\n")


def stores_answer() -> bool:
    """Whether PostgreSQL and the object store of our environment accept connections."""
    endpoint = urlsplit(os.environ["MODEL_REGISTRY_S3_ENDPOINT"])
    sockets = parse_qs(urlsplit(os.environ["MODEL_REGISTRY_DATABASE_URL"]).query)["host"][0]
    try:
        socket.create_connection((endpoint.hostname, endpoint.port), timeout=1).close()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{sockets}/.s.PGSQL.5432")
    except OSError:
        return False
    return True


class Readiness(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = self.path == "/readyz" and Path("migrated").exists() and stores_answer()
        self.send_response(200 if ready else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: it is asked twenty times a second."""


def on_term(role: str) -> None:
    def handler(_number: int, _frame: FrameType | None) -> None:
        note(f"{role} stops, stores answer: {stores_answer()}")
        sys.exit(0)

    signal.signal(signal.SIGTERM, handler)


class Server(HTTPServer):
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Without the look-up of the machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


def roles_are_apart(role: str) -> bool:
    """Whether the service's role is not the owner's, and nothing but the migration is told of the owner's."""
    service = urlsplit(os.environ["MODEL_REGISTRY_DATABASE_URL"]).username
    owner = urlsplit(os.environ.get("MODEL_REGISTRY_MIGRATION_DATABASE_URL", "")).username
    return (service, owner) == ("registry_service", "registry" if role == "migrate" else None)


def main(role: str, port: int) -> None:
    note(f"{role} starts")
    if role == "fail":
        print("the reason why it fails", flush=True)
        sys.exit(3)
    assert roles_are_apart(role)
    if role == "migrate":
        assert stores_answer()
        Path("migrated").touch()
    elif role == "token":
        print("token-of-the-first-start")
    else:
        on_term(role)
        if role == "serve":
            with Server(("127.0.0.1", port), Readiness) as server:
                server.serve_forever()
        while True:
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
