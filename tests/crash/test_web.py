"""kill -9 of gunicorn's worker process while the body of an import comes in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.domain.importing import ImportState
from service.embedded.parts import free_port
from service.stores import tables as t
from service.usecases.manage_tokens import create_token
from tests.conftest import export
from tests.crash.conftest import Place
from tests.crash.kills import KILLS
from tests.crash.processes import until

PATH = "/v1/workspaces/dev/imports"
BODY = export("mlflow317-tool120-model-dummy") + bytes(48 * 1024 * 1024)
"""Too long for the sockets' buffers: some of it was read and stored when all but the end is sent. Zeros may follow."""
KILLED = 6


class Web:
    """gunicorn with one worker process, over a place."""

    def __init__(self, place: Place, errors: Path) -> None:
        self.bind = f"127.0.0.1:{free_port()}"
        s3 = place.settings.s3
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MODEL_REGISTRY_DATABASE_URL": place.settings.database_url,
            "MODEL_REGISTRY_S3_ENDPOINT": s3.endpoint,
            "MODEL_REGISTRY_S3_ACCESS_KEY": s3.access_key,
            "MODEL_REGISTRY_S3_SECRET_KEY": s3.secret_key,
            "MODEL_REGISTRY_S3_BUCKET": s3.bucket,
            "MODEL_REGISTRY_PUBLIC_URL": f"http://{self.bind}",
        }
        command = [sys.executable, "-m", "service.cli", "serve", "--bind", self.bind, "--workers", "1"]
        with errors.open("w") as log:
            self.master = subprocess.Popen(command, env=environ, stderr=log)
        self.token = create_token(place.parts.store, place.parts.clock, OPERATOR, "test", ["admin"], None)[1]

    def answers(self) -> bool:
        assert self.master.poll() is None
        try:
            return requests.get(f"http://{self.bind}/readyz", timeout=30).status_code == 200
        except requests.ConnectionError:
            return False

    def worker(self) -> int:
        """Its process; 0 when there is none."""
        pids = Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text().split()
        return int(pids[0]) if pids else 0

    def kill(self) -> None:
        killed = self.worker()
        os.kill(killed, signal.SIGKILL)
        KILLS["web server's process"] += 1
        until(lambda: self.worker() not in (0, killed))

    def send(self) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.post(f"http://{self.bind}{PATH}", data=BODY, headers=headers, timeout=120)

    def begin_to_send(self, count: int) -> socket.socket:
        head = f"POST {PATH} HTTP/1.1\r\nHost: {self.bind}\r\nAuthorization: Bearer {self.token}\r\n"
        host, _, port = self.bind.partition(":")
        connection = socket.create_connection((host, int(port)), timeout=120)
        connection.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:count])
        return connection


@pytest.fixture
def web(place: Place, tmp_path: Path) -> Iterator[Web]:
    web = Web(place, tmp_path / "gunicorn.log")
    try:
        until(web.answers)
        yield web
    finally:
        web.master.terminate()
        web.master.wait(60)


def test_killed_while_bodies_come_in(place: Place, web: Web) -> None:
    """The client sees its connection end, nothing of the import is seen, and the same body sent again is one."""
    for number in range(KILLED):
        with web.begin_to_send(len(BODY) * (KILLED + number) // (2 * KILLED)) as connection:
            web.kill()
            assert _answer(connection) == b""
    with place.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.imports)) == 0
    until(web.answers)
    sent, again = web.send(), web.send()
    assert (sent.status_code, again.json()["id"]) == (202, sent.json()["id"]), sent.text
    place.finish()
    assert place.state(sent.json()["id"]) is ImportState.DONE
    found = place.check()
    assert len(found["runs"]) == sum(found["runs"].values()) > 0


def _answer(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1024)
    except ConnectionResetError:
        return b""
