"""Versions to pull, and the puller as a serving cluster runs it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.e2e.conftest import Service
from tests.small_exports import MLMODEL, packed, registered_model, run, version

Files = Mapping[str, bytes]
REF = "prod/orders/Production"
STAGE = "/v1/environments/prod/models/orders/stages/Production"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Done:
    """How a puller ended."""

    code: int
    out: str
    err: str


class Stage:
    """The stage prod/orders/Production of a running service."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self._folder = folder
        assert service.put("/v1/workspaces/dev", {"kind": "mlflow"}).ok
        assert service.put("/v1/environments/prod", {}).ok

    def register(self, files: Files) -> int:
        """The number of a new version with these files, and an MLmodel beside them."""
        run_id = sha256(f"{next(_numbers)}".encode()).hexdigest()[:32]
        base = f"{run_id}/artifacts/model"
        export = {
            "model.json": registered_model(version("1", run_id)),
            f"{run_id}/run.json": run(run_id),
            f"{base}/MLmodel": MLMODEL,
            **{f"{base}/{path}": data for path, data in files.items()},
        }
        archive = self._folder / "export.tar.gz"
        archive.write_bytes(packed(export))
        sent = self.service.send("dev", archive)
        assert sent.json()["state"] == "done", sent.text
        return max(self.service.get("/v1/models/orders").json()["versions"])

    def hold(self, number: int) -> str:
        """Promote; the digest that the stage holds now."""
        put = self.service.put(STAGE, {"version": number})
        assert put.status_code == 200, put.text
        return str(put.json()["digest"])


def command(service: Service, to: Path, *more: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", "service.pulling", REF, "--to", str(to), "--url", service.url, *more]


def environ(service: Service) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODEL_REGISTRY_")}
    return {**kept, "MODEL_REGISTRY_TOKEN": service.token}


def pull(service: Service, to: Path, *more: str, python: str = sys.executable, **variables: str) -> Done:
    done = subprocess.run(
        command(service, to, *more, python=python),
        env=environ(service) | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
