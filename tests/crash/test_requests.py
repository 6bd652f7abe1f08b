"""kill -9 of the process that receives an import, at every step and from outside while a body comes in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
import sqlalchemy as sa

from service.domain.identity import OPERATOR
from service.embedded.parts import free_port
from service.stores import tables as t
from service.usecases.manage_tokens import create_token
from tests.conftest import export
from tests.crash.conftest import MakePlace, Place
from tests.crash.faults import points
from tests.crash.invariants import unsettled

EXPORT = "mlflow317-tool120-model-dummy"
PATH = "/v1/workspaces/dev/imports"


def test_killed_at_every_step_of_a_request(make_place: MakePlace) -> None:
    """Either the import is there, whole and queued, or nothing of it is seen; sent again, it is the same one."""
    whole = make_place()
    token = _token(whole)
    sent = whole.processes.request(None, PATH, export(EXPORT), token)
    assert not sent.end()
    whole.finish()
    expected = whole.check()
    place = make_place()
    token = _token(place)
    plan = points(sent.steps())
    for point in plan:
        with place.engine.begin() as connection:
            connection.execute(sa.update(t.imports).values(state="cancelled"))  # else it stays the same import
        assert place.processes.request(point, PATH, export(EXPORT), token).end(), point
        assert unsettled(place.engine) == []
        assert not place.processes.request(None, PATH, export(EXPORT), token).end()
        with place.engine.connect() as connection:
            live = sa.select(sa.func.count()).where(t.imports.c.state == "received")
            assert connection.scalar(live) == 1
    assert len(plan) >= 12
    place.finish()
    found = place.check()
    assert found["runs"] == expected["runs"]
    assert found["objects"] == expected["objects"]


def _token(place: Place) -> str:
    return create_token(place.parts.store, place.parts.clock, OPERATOR, "test", ["admin"], None)[1]


@pytest.mark.slow
def test_gunicorn_killed_while_bodies_come_in(place: Place, web: Callable[[Place], str]) -> None:
    """The client sees a broken connection, nothing is left, and the same body sent again is taken in."""
    token = _token(place)
    body = export("mlflow317-master-all")
    url = web(place)
    master = _master(url)
    for kill in range(8):
        with _half_sent(url, token, body) as connection:
            (worker,) = _children(master)
            time.sleep(0.02 * kill)
            os.kill(worker, signal.SIGKILL)
            assert _answer(connection) == b"", "no answer is given to half a body"
        _until(lambda dead=worker: _children(master) not in ([], [dead]))  # type: ignore[misc]
    with place.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.imports)) == 0
    sent = requests.post(url + PATH, data=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert sent.status_code == 202
    place.finish()
    assert place.state(sent.json()["id"]) == "done"
    place.check()


def _answer(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1024)
    except ConnectionResetError:
        return b""


_masters: dict[str, int] = {}


def _master(url: str) -> int:
    return _masters[url]


@pytest.fixture
def web() -> Iterator[Callable[[Place], str]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(place: Place) -> str:
        bind = f"127.0.0.1:{free_port()}"
        s3 = place.settings.s3
        environ = {
            **os.environ,
            "MODEL_REGISTRY_DATABASE_URL": place.settings.database_url,
            "MODEL_REGISTRY_S3_ENDPOINT": s3.endpoint,
            "MODEL_REGISTRY_S3_ACCESS_KEY": s3.access_key,
            "MODEL_REGISTRY_S3_SECRET_KEY": s3.secret_key,
            "MODEL_REGISTRY_S3_BUCKET": s3.bucket,
            "MODEL_REGISTRY_PUBLIC_URL": f"http://{bind}",
        }
        command = [sys.executable, "-m", "service.cli", "serve", "--bind", bind, "--workers", "1"]
        started.append(subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL))
        _masters[f"http://{bind}"] = started[-1].pid
        _until(lambda: _answers(f"http://{bind}/readyz"))
        return f"http://{bind}"

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def _children(master: int) -> list[int]:
    with open(f"/proc/{master}/task/{master}/children") as file:
        return [int(pid) for pid in file.read().split()]


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def _half_sent(url: str, token: str, body: bytes) -> Iterator[socket.socket]:
    host, _, port = url.removeprefix("http://").partition(":")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
        time.sleep(0.1)
        yield connection
