"""The supervisor: one service per data directory, started and stopped in order, whatever happens."""

from __future__ import annotations

import base64
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from service.embedded.connection import NotRunningError, load_environ
from service.embedded.parts import free_port, http_status
from tests.embedded.supervised import Supervised
from tests.embedded.waiting import eventually, kill_all

Start = Callable[..., Supervised]
# In the order of stopping.
PARTS = {"serve": "The API", "worker": "The worker", "objects": "The object store", "postgres": "PostgreSQL"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Supervised] = []

    def run(port: int = 0, data: Path = tmp_path / "a b" / "registry-data", **roles: str) -> Supervised:
        data.parent.mkdir(exist_ok=True)
        runs.append(Supervised(data, port or free_port(), **roles))
        return runs[-1]

    yield run
    for made in runs:
        if made.process.poll() is None:
            made.stop(signal.SIGTERM)
    assert eventually(lambda: not any(made.all_pids() for made in runs))


def test_starts_all_then_stops_in_order(start: Start) -> None:
    run = start().ready()
    assert http_status(run.port, "/readyz") == 200
    assert f"http://127.0.0.1:{run.port}/docs" in run.output
    assert f"MLFLOW_TRACKING_URI=http://127.0.0.1:{run.port}" in run.output
    assert str(run.data) in run.output
    assert resident_kib(run.process.pid) < 32 * 1024, "it stays for months"
    assert run.stop(signal.SIGINT) == 0
    assert not run.all_pids()
    stopped = [line.split("s  ")[1] for line in run.output.splitlines() if line.endswith("has stopped")]
    assert stopped == [f"{name} has stopped" for name in PARTS.values()]
    # Both could still write when they were asked to stop.
    assert run.events()[-2:] == ["serve stops, stores answer: True", "worker stops, stores answer: True"]


def test_shows_the_first_token_once_and_keeps_its_key(start: Start) -> None:
    first = start().ready()
    assert "token-of-the-first-start" in first.output
    key = load_environ(first.data)["MODEL_REGISTRY_SECRET_KEY"]
    assert len(base64.urlsafe_b64decode(key)) == 32
    assert stat.S_IMODE((first.data / "secret.key").stat().st_mode) == 0o600
    assert first.stop(signal.SIGTERM) == 0
    second = start().ready()
    assert load_environ(second.data)["MODEL_REGISTRY_SECRET_KEY"] == key, "what it sealed can still be opened"
    assert "token" not in second.output.lower()
    assert second.events().count("token starts") == 1
    second.stop()


def test_a_second_up_is_refused_and_harmless(start: Start) -> None:
    first = start().ready()
    second = start()
    assert second.process.wait(60) == 1
    assert second.output == f"already running (pid {first.process.pid}) on http://127.0.0.1:{first.port}\n"
    assert http_status(first.port, "/readyz") == 200


def test_another_shell_finds_the_service(start: Start) -> None:
    run = start().ready()
    environ = load_environ(run.data)
    assert environ["MODEL_REGISTRY_PUBLIC_URL"] == f"http://127.0.0.1:{run.port}"
    assert environ["MODEL_REGISTRY_S3_BUCKET"] == "registry"
    assert environ["MODEL_REGISTRY_DATABASE_URL"].startswith("postgresql+psycopg2://")
    assert stat.S_IMODE((run.data / "connection.json").stat().st_mode) == 0o600
    run.kill()
    assert eventually(lambda: not run.all_pids())
    with pytest.raises(NotRunningError, match="model-registry up"):
        load_environ(run.data)


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_up_works(start: Start) -> None:
    run = start().ready()
    run.kill()
    again = start(run.port).ready()
    assert again.output.count("token") == 0
    assert http_status(run.port, "/readyz") == 200
    again.kill()
    assert eventually(lambda: not again.all_pids()), "the children outlived their supervisor"


def test_kill_9_of_everything_then_up(start: Start) -> None:
    run = start().ready()
    pids = run.all_pids()
    run.process.kill()
    kill_all(pids)
    run.process.wait()
    start(run.port).ready()


def test_a_part_that_dies_is_started_again(start: Start) -> None:
    run = start().ready()
    before = load_environ(run.data)
    for part, name in PARTS.items():
        os.kill(run.leader(part), signal.SIGKILL)
        run.until(f"{name} ended with signal SIGKILL; starting it again in 0.5 s").until(f"{name} runs again")
        assert eventually(lambda: http_status(run.port, "/readyz") == 200)
    assert load_environ(run.data) == before, "the others would not find the restarted part"
    assert run.stop() == 0


@pytest.mark.parametrize(
    ("name", "roles"),
    [("The API", {"serve": "fail"}), ("The worker", {"worker": "fail", "serve": "worker"})],  # never ready
)
def test_a_failing_start_shows_why_and_stops_everything(start: Start, name: str, roles: dict[str, str]) -> None:
    run = start(**roles)
    assert run.process.wait(60) == 1
    assert f"Cannot run: {name} ended with exit code 3" in run.output
    assert "  | the reason why it fails" in run.output
    assert not run.all_pids()


def test_a_failing_migration_stops_everything(start: Start) -> None:
    run = start(migrate="fail")
    assert run.process.wait(60) == 1
    assert "Cannot run: The migration ended with exit code 3" in run.output
    assert "worker starts" not in run.events()
    assert not run.all_pids()


def test_a_failing_token_is_made_at_the_next_start(start: Start) -> None:
    assert start(token="fail").process.wait(60) == 1
    assert "token-of-the-first-start" in start().ready().output


def test_can_be_stopped_while_it_starts(start: Start) -> None:
    run = start(serve="worker").until("The database is up to date")
    assert run.stop(signal.SIGTERM) == 0
    assert "ready.\n" not in run.output
    assert not run.all_pids()


def test_says_when_the_port_is_taken(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = start(other.getsockname()[1])
        assert run.process.wait(60) == 1
    assert f"Port {run.port} is taken by another program; choose one with --port." in run.output
    assert not run.all_pids()


@pytest.mark.slow
def test_the_real_programs(tmp_path: Path) -> None:
    """From nothing to a working token, and again on the same data."""
    port = free_port()
    run = Supervised(tmp_path / "registry-data", port, real="yes")
    try:
        token = run.ready().output.split("Admin token")[1].split()[0]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/v1/workspaces", timeout=10).status_code == 401
        assert requests.get(f"{url}/v1/workspaces", headers=headers, timeout=10).status_code == 200
        assert run.stop() == 0
        run = Supervised(tmp_path / "registry-data", port, real="yes").ready()
        assert requests.get(f"{url}/v1/workspaces", headers=headers, timeout=10).status_code == 200
    finally:
        assert run.process.poll() is not None or run.stop() == 0
    assert not run.all_pids()


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
