"""The image, really built, and run under the restrictions of a cluster against real parts."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from service.embedded.objects import EmbeddedObjects
from service.embedded.postgres import SOCKET, EmbeddedPostgres
from tests.deploy.build_image import ROOT, build, missing_tools
from tests.deploy.container import Container, Process, container
from tests.deploy.relay import relay

pytestmark = [
    pytest.mark.image,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing_tools()), reason=f"missing: {', '.join(missing_tools())}"),
]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def image() -> Iterator[Container]:
    with container(build()) as built:
        yield built


@pytest.fixture
def environ(
    postgres: EmbeddedPostgres, admin_engine: sa.Engine, object_server: EmbeddedObjects
) -> Iterator[dict[str, str]]:
    """The settings of a service on an empty database and without a bucket yet."""
    sockets = parse_qs(urlsplit(postgres.url).query)["host"][0]
    with admin_engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE image"))
    with relay(Path(sockets) / SOCKET) as port:
        yield {
            "MODEL_REGISTRY_DATABASE_URL": f"postgresql://registry@127.0.0.1:{port}/image",
            "MODEL_REGISTRY_S3_ENDPOINT": object_server.endpoint,
            "MODEL_REGISTRY_S3_ACCESS_KEY": object_server.access_key,
            "MODEL_REGISTRY_S3_SECRET_KEY": object_server.secret_key,
            "MODEL_REGISTRY_S3_BUCKET": "image",
            "MODEL_REGISTRY_PUBLIC_URL": "http://127.0.0.1:8000",
        }
        with admin_engine.connect() as connection:
            connection.execute(sa.text("DROP DATABASE image WITH (FORCE)"))


def test_configuration(image: Container) -> None:
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"] == ["model-registry"]
    assert image.config["Cmd"] == ["serve", "--bind", "0.0.0.0:8000", "--workers", "2"]
    assert list(image.config["ExposedPorts"]) == ["8000/tcp"]
    assert image.config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert not [variable for variable in image.config["Env"] if re.match("PIP|MODEL_REGISTRY|SSL|.*PROXY", variable)]


def test_nothing_is_in_it_that_does_not_belong(image: Container) -> None:
    packages = next(image.root.glob("opt/venv/lib/python3.*/site-packages"))
    names = {path.name.lower() for path in packages.iterdir()}
    assert {"service", "mlflow", "gunicorn"} <= names
    assert not [name for name in names if re.match("pixeltable|juicefs|pip|hatchling|pytest|hypothesis|tests", name)]
    assert not list((packages / "service").rglob("test*"))
    assert (packages / "service" / "_migrations" / "env.py").is_file()
    assert [path.name for path in (image.root / "opt").iterdir()] == ["venv"]
    for gone in ("src", ".git", "root/.cache"):
        assert not (image.root / gone).exists()


def test_bytecode_is_in_it(image: Container) -> None:
    packages = next(image.root.glob("opt/venv/lib/python3.*/site-packages"))
    for source in (packages / "service" / "cli.py", packages / "flask" / "app.py"):
        assert list(source.parent.glob(f"__pycache__/{source.stem}.cpython-*.pyc"))


def test_its_user_owns_nothing_and_may_write_only_to_tmp(image: Container) -> None:
    for path in (image.root / "opt").rglob("*"):
        status = path.lstat()
        assert status.st_uid == 0
        assert stat.S_ISLNK(status.st_mode) or not status.st_mode & 0o002
    report = image.python(
        "import os; print(os.getuid(), os.getgid(), os.getgroups(), os.getcwd(),"
        " [p for p in ('/', '/opt/venv', '/etc', '/var/tmp', '/tmp', '/dev/shm') if os.access(p, os.W_OK)])"
    )
    assert report.split(" ", 4) == ["10001", "10001", "[]", "/tmp", "['/tmp', '/dev/shm']\n"]


def test_version_and_help(image: Container) -> None:
    assert VERSION in image.run("--version").stdout
    for command in ("serve", "worker", "migrate", "token"):
        assert command in image.run("--help").stdout


@pytest.mark.parametrize("arguments", [(), ("worker",), ("migrate",)])
def test_without_settings_it_names_them_and_ends(image: Container, arguments: tuple[str, ...]) -> None:
    result = image.run(*(arguments or image.config["Cmd"]))
    assert result.returncode == 1
    assert "MODEL_REGISTRY_DATABASE_URL is not set" in result.stderr
    assert "MODEL_REGISTRY_S3_SECRET_KEY is not set" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_first_start(image: Container, environ: dict[str, str], tmp_path: Path) -> None:
    """As in a new cluster: serve comes up unready, migrate runs twice, a token opens the API, all ends in order."""
    port = _free_port()
    arguments = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in image.config["Cmd"]]
    with image.running(*arguments, environ=environ, log=tmp_path / "serve.log") as server:
        _await_status(server, port, "/healthz", 200)
        assert _get(port, "/readyz")[0] == 503

        migrations = [image.run("migrate", "--if-needed", environ=environ) for _ in range(2)]
        assert [done.returncode for done in migrations] == [0, 0], migrations
        _await_status(server, port, "/readyz", 200)
        assert json.loads(_get(port, "/version")[1])["version"] == VERSION
        # A probe names the pod's address as host.
        assert _get(port, "/readyz", Host="10.1.2.3:8000")[0] == 200

        made = image.run("token", "create", "--name", "first", "--scope", "admin", "--plain", environ=environ)
        assert (made.returncode, made.stderr) == (0, "")
        assert _get(port, "/v1/workspaces")[0] == 401
        assert _get(port, "/v1/workspaces", Authorization=f"Bearer {made.stdout.strip()}")[0] == 200

        with image.running("worker", environ=environ, log=tmp_path / "worker.log") as worker:
            _await_text(worker, "worker started")
            assert worker.stop(30) in (0, 128 + signal.SIGTERM)  # the latter while it is still loading
        assert server.stop(60) == 0
    for log in tmp_path.glob("*.log"):
        assert "Traceback" not in log.read_text()
        assert environ["MODEL_REGISTRY_S3_SECRET_KEY"] not in log.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    """Status and body; 0 when nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def _await_status(process: Process, port: int, path: str, status: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while (seen := _get(port, path))[0] != status:
        assert process.outer.poll() is None, process.log.read_text()
        assert time.monotonic() < end, f"{path} answered {seen}\n{process.log.read_text()}"
        time.sleep(0.2)


def _await_text(process: Process, text: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while text not in process.log.read_text():
        assert process.outer.poll() is None, process.log.read_text()
        assert time.monotonic() < end, process.log.read_text()
        time.sleep(0.2)
