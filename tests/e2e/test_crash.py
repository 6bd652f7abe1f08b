"""kill -9 of the worker that an operator started; `tests/crash` does it at each step."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import requests

from tests.conftest import EXPORTS
from tests.e2e.conftest import Service


@pytest.mark.slow
def test_worker_killed_for_real(service: Service) -> None:
    """kill -9 of the worker while it works; another one takes the import up when the first is found dead."""
    assert service.put("/v1/workspaces/killed", {"kind": "mlflow"}).status_code == 201
    extra = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "worker"], env=service.environ, stderr=subprocess.DEVNULL
    )
    try:
        archive = EXPORTS / "mlflow130-tool120-experiment-unicode-edge.tar.gz"
        place = f"{service.url}/v1/workspaces/killed/imports"
        sent = requests.post(place, data=archive.read_bytes(), headers=service.headers, timeout=30)
        assert sent.status_code == 202
        time.sleep(0.3)  # whichever of the two has it is at work now; the one that is ours dies
        extra.kill()
        until = time.monotonic() + 60
        while (state := service.get(sent.headers["Location"]).json()["state"]) in ("received", "running"):
            assert time.monotonic() < until, state
            time.sleep(0.2)
        assert state == "done"
    finally:
        extra.kill()
        extra.wait()
