"""Real model servers on a pulled folder: started, asked, and told of a swap. As docs/serving.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from service.embedded.parts import free_port
from tests.pulling.servers import ServersMissingError, prepare
from tests.pulling.site import REF, STAGE, Site, contents, ended, until

DOCS = Path(__file__).parent.parent.parent / "docs" / "serving.md"
MLMODEL = """\
flavors:
  python_function:
    loader_module: answer_{answer}
    code: code
mlflow_version: 3.17.2
"""
CODE = """\
import numpy


class Answer:
    def predict(self, model_input, params=None):
        return numpy.full(len(model_input), {answer})


def _load_pyfunc(path):
    return Answer()
"""

NO_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}
"""What the docs tell servers that could write into the folder: with byte code in it, it would be another one."""


def model(answer: int) -> dict[str, bytes]:
    """The files of a model that always answers the same; its module has a name of its own, since Python keeps it."""
    texts = {"MLmodel": MLMODEL, f"code/answer_{answer}.py": CODE}
    return {path: text.format(answer=answer).encode() for path, text in texts.items()}


@pytest.fixture(scope="module")
def versions(shared_site: Site) -> tuple[int, int]:
    return shared_site.register(model(41)), shared_site.register(model(42))


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the servers are."""
    try:
        return prepare()
    except ServersMissingError as error:
        pytest.skip(str(error))


@contextmanager
def running(command: list[str], log: Path, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def predictions(url: str) -> Any:
    answer = requests.post(url, json={"inputs": [[1.0], [2.0]]}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def test_mlflow_models_serve(site: Site, versions: tuple[int, int], to: Path, tmp_path: Path) -> None:
    site.hold(versions[0])
    assert site.pull(to).code == 0
    port = free_port()
    programs = str(Path(sys.executable).parent)
    command = [f"{programs}/mlflow", "models", "serve", "--model-uri", str(to), "--env-manager", "local"]
    environ = {
        **site.environ(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **NO_BYTE_CODE,
    }
    with running([*command, "--port", str(port)], tmp_path / "log", environ):
        until(lambda: ready(f"http://127.0.0.1:{port}/ping"), 60)
        assert predictions(f"http://127.0.0.1:{port}/invocations") == [41, 41]
    assert contents(to) == model(41)
    assert site.pull(to).out.startswith("unchanged ")


def test_mlserver_and_a_swap(site: Site, versions: tuple[int, int], programs: Path, to: Path, tmp_path: Path) -> None:
    """The puller follows the stage, and tells the server to load what was swapped."""
    site.hold(versions[0])
    assert site.pull(to).code == 0
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "server" / "orders").mkdir(parents=True)
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (tmp_path / "server" / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    about = {"name": "orders", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": str(to)}}
    (tmp_path / "server" / "orders" / "model-settings.json").write_text(json.dumps(about))
    load = (
        f"{sys.executable} -c 'import requests; requests.post(\"{url}/v2/repository/models/orders/load\", timeout=30)'"
    )
    follow = site.command(to, "--follow", "--interval", "1", "--exec", load)
    with running(
        [str(programs / "mlserver"), "start", str(tmp_path / "server")],
        tmp_path / "log",
        {**os.environ, **NO_BYTE_CODE},
    ):
        until(lambda: ready(f"{url}/v2/models/orders/ready"), 60)
        assert predictions(f"{url}/invocations") == [41, 41]
        asked = {
            "inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}],
            "parameters": {"content_type": "pd"},
        }
        answer = requests.post(f"{url}/v2/models/orders/infer", json=asked, timeout=30)
        assert answer.json()["outputs"][0]["data"] == [41, 41], answer.text
        with running(follow, tmp_path / "puller.log", site.environ()):
            until(lambda: "unchanged" in (tmp_path / "puller.log").read_text(), 30)
            site.hold(versions[1])
            until(lambda: predictions(f"{url}/invocations") == [42, 42], 30)


def test_kserves_storage_initializer(site: Site, versions: tuple[int, int], programs: Path, tmp_path: Path) -> None:
    """KServe's own code takes the archive for the tar that it is, with the headers of a secret."""
    site.hold(versions[0])
    uri = f"{site.url}{STAGE}/archive?model.tar"
    script = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"
    headers = json.dumps({"Authorization": f"Bearer {site.token}"})
    environ = {**os.environ, "127.0.0.1-headers": headers}
    done = ended([str(programs / "python"), "-c", script, uri, str(tmp_path / "models")], environ)
    assert done.code == 0, done.err
    assert contents(tmp_path / "models") == model(41)


def test_a_storage_container_of_ones_own(site: Site, versions: tuple[int, int], tmp_path: Path) -> None:
    """The command in the docs, called as KServe calls it, with the URI and the folder to fill; twice."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    manifests = [one for block in blocks for one in yaml.safe_load_all(block)]
    (container,) = (one["spec"]["container"] for one in manifests if one["kind"] == "ClusterStorageContainer")
    command = [part.replace("/pull.pyz", "-m service.pulling") for part in container["command"]]
    folder = tmp_path / "mnt"
    folder.mkdir()
    for number, answer in zip(versions, (41, 42), strict=True):
        site.hold(number)
        done = ended([*command, f"registry://{REF}", str(folder)], site.environ(MODEL_REGISTRY_URL=site.url))
        assert done.code == 0, done.err
        assert {path: data for path, data in contents(folder).items() if path[0] != "."} == model(answer)
