"""The embedded registry, running for the length of a benchmark, and what its worker needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.embedded.connection import load_environ
from service.settings import Settings


@dataclass(frozen=True)
class Registry:
    """`environ` are the settings of its processes; `headers` carry an administrator's token."""

    url: str
    data: Path
    environ: dict[str, str]
    headers: dict[str, str]

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environ)

    def worker(self) -> Memory:
        """The worker's memory: the process that works in the data directory and was started as `worker`."""
        return Memory(self._process(b"worker"))

    def service(self) -> int:
        """The id of gunicorn's first process."""
        return int(self._process(b"gunicorn", self.url.removeprefix("http://").encode()).name)

    def _process(self, *said: bytes) -> Path:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().split(b"\0")
                if set(said) <= set(command) and (process / "cwd").resolve() == self.data.resolve():
                    return process
            except OSError:
                continue  # it ended meanwhile
        raise RuntimeError("the process is not there")


@dataclass(frozen=True)
class Memory:
    """Megabytes of one process."""

    process: Path

    def now(self) -> int:
        return self._field("VmRSS")

    def peak(self) -> int:
        return self._field("VmHWM")

    def forget_peak(self) -> None:
        (self.process / "clear_refs").write_text("5")

    def _field(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+)", (self.process / "status").read_text())
        return int(found[1]) // 1024 if found else 0


@contextmanager
def running_registry(data: Path, port: int) -> Iterator[Registry]:
    command = [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        try:
            environ = {**os.environ, **load_environ(data)}
            headers = {"Authorization": f"Bearer {_admin_token(environ)}"}
            yield Registry(f"http://127.0.0.1:{port}", data, environ, headers)
        finally:
            process.terminate()
            process.stdout.read()


def _admin_token(environ: dict[str, str]) -> str:
    command = [sys.executable, "-m", "service.cli", "token", "create", "--name", "b", "--scope", "admin", "--plain"]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()
