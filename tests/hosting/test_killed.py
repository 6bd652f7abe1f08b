"""kill -9 of the worker while it freezes a version: the next one brings it to READY."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import Client

from service.domain.layout import VERSIONS
from service.settings import Settings
from service.usecases import request_version
from service.wiring import Parts
from tests.hosting.conftest import environ_of
from tests.hosting.registering import MLMODEL, Hosted, digest_of


@pytest.mark.slow
def test_a_killed_worker_s_version_becomes_ready(
    hosted: Callable[..., Client], settings: Settings, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_version, "SMALL_FILES", 0)
    registry = Hosted(hosted("track"))
    run = registry.run("one", MLmodel=MLMODEL, weights=b"\0\1\2" * 1000)
    assert registry.register("orders", run)["status"] == "PENDING_REGISTRATION"
    fuse = tmp_path / "fuse"
    fuse.touch()
    command = [sys.executable, "-m", "tests.hosting.dying_worker", str(fuse)]
    environ = {**os.environ, **environ_of(settings)}
    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        assert first.wait(60) == -signal.SIGKILL, (tmp_path / "log").read_text()
        assert len(list(parts.objects.list(VERSIONS))) == 1  # of two files
        assert _version(registry)["status"] == "PENDING_REGISTRATION"
        second = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 60
            while _version(registry)["status"] == "PENDING_REGISTRATION":
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            second.terminate()
            second.wait(30)
    version = _version(registry)
    assert version["status"] == "READY"
    digest = digest_of(version).removeprefix("sha256:")
    assert registry.read(f"registered/{digest}/MLmodel").data == MLMODEL
    assert registry.read(f"registered/{digest}/weights").data == b"\0\1\2" * 1000


def _version(registry: Hosted) -> dict[str, object]:
    return dict(registry.get("model-versions/get", name="orders", version="1").json["model_version"])
