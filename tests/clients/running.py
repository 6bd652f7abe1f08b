"""Scenarios, run by a client's own Python: what they said of each call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.clients.environments import Client

SCENARIOS = Path(__file__).parent / "scenarios"
SECONDS = 150
"""After which a scenario is ended: what it said so far tells where it hung."""


@dataclass(frozen=True)
class Proof:
    """`state` is proven, refused, shortcoming (of the client), absent (from the client) or failed."""

    call: str
    state: str
    why: str


@dataclass(frozen=True)
class Outcome:
    returned: int
    said: str
    log: str

    @property
    def proofs(self) -> list[Proof]:
        return [Proof(**json.loads(line)) for line in self.said.splitlines() if line.startswith('{"call"')]


def run_scenario(client: Client, scenario: str, uri: str, token: str, folder: Path, **environ: str) -> Outcome:
    """`folder` is where it works; `uri` and `token` are all that it knows of the registry."""
    folder.mkdir(parents=True, exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTHON", "MODEL_REGISTRY_"))}
    given = {
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "MPLBACKEND": "Agg",
        "TMPDIR": str(folder),
    }
    command = [client.command("python"), str(SCENARIOS / f"{scenario}.py")]
    with (
        (folder / "said").open("w") as said,
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, env={**inherited, **given, **environ}, cwd=folder, stdout=said, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            returned = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            returned = process.wait()
    return Outcome(returned, (folder / "said").read_text(), (folder / "log").read_text())
