"""The oldest client can tell every error: one whose code it does not know it answers with an error of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from service.hosting import forwarding, mlflow_errors
from tests.clients.environments import MLFLOW, Client


def test_the_oldest_client_knows_every_code(need: Callable[[Client], None]) -> None:
    oldest = MLFLOW[0]
    need(oldest)
    program = "import json; from mlflow.protos.databricks_pb2 import ErrorCode; print(json.dumps(ErrorCode.keys()))"
    told = subprocess.run([oldest.command("python"), "-c", program], check=True, capture_output=True, text=True)
    ours = {*mlflow_errors._CODES.values(), *forwarding._CODES.values()}
    assert ours <= set(json.loads(told.stdout.splitlines()[-1]))
