"""What is loaded when MLflow's server is: a fresh interpreter each, since imports cannot be taken back."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from service.hosting.lean_import import without_unused_libraries
{before}
with without_unused_libraries():
    import mlflow.server
    loaded = sorted({{name.partition(".")[0] for name in sys.modules}})
from fastapi import FastAPI, HTTPException
from mlflow.gateway.utils import HTTPException as gateways
import pygments
print(json.dumps([loaded, FastAPI.__module__, issubclass(HTTPException, gateways)]))
"""


def run(before: str = "") -> tuple[list[str], str, bool]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)], check=True, capture_output=True, text=True, timeout=120
    )
    loaded, module, related = json.loads(done.stdout.splitlines()[-1])
    return loaded, module, related


def test_unused_libraries_stay_unloaded_and_can_be_imported_afterwards() -> None:
    loaded, module, related = run()
    assert "mlflow" in loaded
    assert "alembic" in loaded
    assert not {"numpy", "pandas", "pygments", "pyarrow", "scipy", "sklearn"} & set(loaded)
    assert module == "fastapi.applications"
    assert related


def test_a_fastapi_that_is_loaded_already_stays() -> None:
    loaded, module, related = run(before="import fastapi")
    assert "fastapi" in loaded
    assert module == "fastapi.applications"
    assert related


def test_user_management_is_not_there_and_asking_for_it_costs_nothing() -> None:
    code = """
import sys, time
from service.hosting.lean_import import without_unused_libraries
with without_unused_libraries():
    import mlflow.server
begun = time.monotonic()
try:
    from mlflow.server import auth
except ImportError:
    print(time.monotonic() - begun < 0.05, "mlflow.server.fastapi_app" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
