"""Our own programs as parts: the API, the worker, and what runs once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.embedded.children import Child, Program
from service.embedded.leftovers import end_leftovers, mark_of
from service.embedded.parts import LOOPBACK, http_status


@dataclass(frozen=True)
class Commands:
    """The argument vectors of our programs; the first word of each is an absolute path."""

    serve: tuple[str, ...]
    migrate: tuple[str, ...]
    worker: tuple[str, ...]
    token: tuple[str, ...]  # prints a new administrator's token, and nothing else, on stdout

    @classmethod
    def of_this_interpreter(cls, port: int, workers: int) -> Commands:
        program = (sys.executable, "-m", "service.cli")
        return cls(
            serve=(*program, "serve", "--bind", f"{LOOPBACK}:{port}", "--workers", str(workers)),
            migrate=(*program, "migrate", "--if-needed"),
            worker=(*program, "worker"),
            token=(*program, "token", "create", "--name", "admin", "--scope", "admin", "--plain"),
        )


@dataclass(frozen=True)
class Place:
    """Where the programs run, and the environment they get."""

    data: Path
    environ: Mapping[str, str]

    def program(self, name: str, slug: str, argv: tuple[str, ...]) -> Program:
        """The data directory is the working directory: no module beside the caller can get in the way."""
        return Program(
            name=name,
            argv=argv,
            environ=self.environ,
            directory=self.data,
            log=self.data / "logs" / f"{slug}.log",
            mark=mark_of(self.data, slug),
        )


class Application:
    """A program of ours. With `port` it is ready once `/readyz` there answers 200, otherwise at once."""

    def __init__(self, program: Program, port: int | None = None) -> None:
        self._program = program
        self._port = port
        self._child = Child(program)

    @property
    def name(self) -> str:
        return self._program.name

    def prepare(self) -> None:
        end_leftovers(self._program.mark)

    def launch(self) -> None:
        self._child.launch()

    def ready(self) -> bool:
        self.check()
        return self._port is None or http_status(self._port, "/readyz") == 200

    def exit_code(self) -> int | None:
        return self._child.exit_code()

    def check(self) -> None:
        self._child.check()

    def tail(self) -> str:
        return self._child.tail()

    def stop(self) -> bool:
        return self._child.stop()
