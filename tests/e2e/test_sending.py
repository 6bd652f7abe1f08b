"""`model-registry import`, and curl alone: folders and archives, small and large, killed and sent again."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import requests

from service.domain.uploading import MIN_PART
from tests.conftest import EXPORTS
from tests.e2e.conftest import Service
from tests.small_exports import RUN, run

SMALL = "mlflow130-tool120-experiment-iris"


def command(service: Service, export: Path, workspace: str, *more: str) -> list[str]:
    place = ["--url", service.url, "--workspace", workspace, "--token", service.token]
    return [sys.executable, "-m", "service.cli", "import", str(export), *place, *more]


def imported(service: Service, export: Path, workspace: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(service, export, workspace, *more), capture_output=True, text=True, timeout=120)


def place(service: Service, workspace: str) -> str:
    assert service.put(f"/v1/workspaces/{workspace}", {"kind": "mlflow"}).status_code in (200, 201)
    return f"/v1/workspaces/{workspace}"


def only_import(service: Service, workspace: str) -> dict[str, Any]:
    (import_,) = service.get(f"/v1/workspaces/{workspace}/imports").json()["imports"]
    return dict(import_)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export folder of seven parts."""
    folder = tmp_path_factory.mktemp("large")
    (folder / RUN / "artifacts").mkdir(parents=True)
    (folder / RUN / "run.json").write_text(json.dumps(run()))
    (folder / RUN / "artifacts" / "weights.bin").write_bytes(random.Random(1).randbytes(6 * MIN_PART + 5))
    return folder


def test_a_folder_and_its_archive(service: Service, tmp_path: Path) -> None:
    place(service, "small")
    archive = EXPORTS / f"{SMALL}.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    first = imported(service, tmp_path, "small", "--experiment-name", "central")
    assert first.returncode == 0, first.stderr
    told = first.stdout.splitlines()
    assert told[0] == f"import {only_import(service, 'small')['id']} done"
    assert any(line.startswith("runs: ") and " created" in line for line in told)
    assert "Sending: 100 %" in first.stderr
    assert only_import(service, "small")["options"]["experiment_name"] == "central"
    again = imported(service, tmp_path, "small", "--experiment-name", "central")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    packed = imported(service, archive, "small", "--experiment-name", "central", "--no-wait")
    assert packed.returncode == 0, packed.stderr


def test_a_large_one_by_parts(service: Service, large: Path) -> None:
    place(service, "large")
    first = imported(service, large, "large", "--by-parts-from", "32")
    assert first.returncode == 0, first.stderr
    assert "Uploading: 100 %" in first.stderr
    done = only_import(service, "large")
    assert (done["state"], done["report"]["counts"]["artifact_files"]["created"]) == ("done", 1)
    again = imported(service, large, "large", "--by-parts-from", "32")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "Uploading" not in again.stderr


def test_one_that_was_killed_goes_on(service: Service, large: Path) -> None:
    base = place(service, "killed")
    (large / "killed.json").write_text("{}")  # another archive than that of the other test
    options = ("--by-parts-from", "32", "--experiment-name", "killed")
    process = subprocess.Popen(command(service, large, "killed", *options), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Uploading"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stderr.close()
    assert service.get(f"{base}/imports").json()["imports"] == []
    resumed = imported(service, large, "killed", *options)
    assert resumed.returncode == 0, resumed.stderr
    done = only_import(service, "killed")
    assert done["state"] == "done"
    upload = service.get(f"{base}/uploads/{done['id']}").json()
    assert upload["state"] == "completed"
    first = next(line for line in resumed.stderr.splitlines() if line.startswith("Uploading"))
    assert int(first.split()[1]) >= 10, "the parts that arrived before are not sent again"


def test_a_refusal_is_told(service: Service, tmp_path: Path) -> None:
    place(service, "refused")
    (tmp_path / "notes.txt").write_text("no export")
    for more in ((), ("--by-parts-from", "0")):
        refused = imported(service, tmp_path, "refused", *more)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "Error: The archive holds no experiment, run, model or prompt" in refused.stderr
    refused = imported(service, tmp_path, "absent")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Error: There is no workspace 'absent'." in refused.stderr


def test_curl_is_enough(service: Service, tmp_path: Path) -> None:
    """The documented way: create, PUT each part, complete."""
    base = place(service, "curl")
    data = (EXPORTS / f"{SMALL}.tar.gz").read_bytes()
    headers = service.headers
    digest = hashlib.sha256(data).hexdigest()
    upload = requests.post(
        f"{service.url}{base}/uploads", json={"size": len(data), "sha256": digest}, headers=headers, timeout=30
    ).json()
    for part in upload["urls"]:
        piece = tmp_path / "part"
        piece.write_bytes(data[part["offset"] : part["offset"] + part["size"]])
        put = ["curl", "-sSf", "-T", str(piece), part["url"]]
        subprocess.run(put, check=True, timeout=60)
    complete = f"{service.url}{base}/uploads/{upload['id']}/complete"
    done = requests.post(complete, headers={**headers, "Prefer": "wait=60"}, timeout=90)
    assert (done.status_code, done.json()["state"]) == (201, "done"), done.text
    assert done.json()["archive_digest"] == f"sha256:{digest}"
    assert requests.post(complete, headers=headers, timeout=30).status_code == 200
    body = service.send("curl", EXPORTS / f"{SMALL}.tar.gz")
    assert (body.status_code, body.json()["id"]) == (200, done.json()["id"])
