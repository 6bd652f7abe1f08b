"""Runs the supervisor in a process of its own, with stand-ins for the service's programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from service.embedded.applications import Commands
from service.embedded.leftovers import mark_of, marked
from service.embedded.supervisor import up
from tests.embedded.waiting import eventually

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).with_name("stand_in.py")


class Supervised:
    """One run of `up`; what it printed is in `output`."""

    def __init__(self, data: Path, port: int, **roles: str) -> None:
        self.data = data
        self.port = port
        self._path = data.with_name(f"{data.name}-output")
        words = [f"{name}={role}" for name, role in roles.items()]
        with self._path.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.embedded.supervised", str(data), str(port), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._path.read_text()

    def until(self, text: str) -> Supervised:
        assert eventually(lambda: text in self.output or self.process.poll() is not None, 60), self.output
        assert text in self.output, self.output
        return self

    def ready(self) -> Supervised:
        return self.until("Press Ctrl-C to stop.")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pids(self, part: str) -> list[int]:
        folder = self.data / part if part in ("postgres", "objects") else self.data
        return marked(mark_of(folder, part)) if folder.exists() else []

    def leader(self, part: str) -> int:
        """The process of `part` that the supervisor started itself."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (leader,) = set(self.pids(part)) & set(map(int, children))
        return leader

    def all_pids(self) -> list[int]:
        parts = ("serve", "worker", "migrate", "objects", "postgres")
        return [pid for part in parts for pid in self.pids(part)]

    def events(self) -> list[str]:
        return (self.data / "events").read_text().splitlines()


def main(data: str, port: str, *words: str) -> int:
    """`words` replace roles, as in `worker=fail`; `real=yes` runs the service's own programs."""
    if "real=yes" in words:
        return up(Path(data), int(port), console=lambda text: print(text, flush=True))
    roles = {"serve": "serve", "migrate": "migrate", "worker": "worker", "token": "token"}
    roles |= dict(word.split("=") for word in words)
    argv = {name: (sys.executable, str(STAND_IN), role, port) for name, role in roles.items()}
    return up(Path(data), int(port), console=lambda text: print(text, flush=True), commands=Commands(**argv))


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(*sys.argv[1:]))
