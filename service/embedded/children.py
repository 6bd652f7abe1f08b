"""Child processes: started so that they end with the supervisor, logged, and stopped with patience."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.embedded.accounts import Account
from service.embedded.files import open_log, tail
from service.embedded.leftovers import MARK_VARIABLE
from service.embedded.parts import PartError

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Program:
    """What to run. `argv[0]` is an absolute path; `account` None keeps the user; times are seconds."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    directory: Path
    log: Path
    mark: str
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    account: Account | None = None

    def launch_argv(self) -> list[str]:
        uid, gid = (self.account.uid, self.account.gid) if self.account else (-1, -1)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
        return [*launcher, *map(str, (os.getpid(), int(self.stop_signal), uid, gid)), *self.argv]

    def launch_environ(self) -> dict[str, str]:
        return {**self.environ, MARK_VARIABLE: self.mark}


class Child:
    """One run of a program after another, never two at once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def launch(self) -> None:
        """Start in an own session, so that Ctrl-C in a terminal reaches only the supervisor."""
        program = self._program
        with open_log(program.log) as log:
            self._log_start = os.fstat(log.fileno()).st_size
            self._process = subprocess.Popen(
                program.launch_argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=program.directory,
                env=program.launch_environ(),
                start_new_session=True,
            )

    def exit_code(self) -> int | None:
        """None while it runs, and before it was launched."""
        return self._process.poll() if self._process else None

    def check(self) -> None:
        """Raises PartError when the process has ended."""
        code = self.exit_code()
        if code is not None:
            raise PartError(f"{self._program.name} ended with {describe_exit(code)}", self.tail())

    def tail(self) -> str:
        """What this run last wrote to its log."""
        return tail(self._program.log, self._log_start)

    def stop(self) -> bool:
        """Ask it to end, kill it when it takes too long. Returns whether it was still running."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return False
        process.send_signal(self._program.stop_signal)
        try:
            process.wait(self._program.stop_seconds)
        except subprocess.TimeoutExpired:
            # Still unreaped, hence the group is certainly its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return True


def run_once(program: Program, stdin: str = "", seconds: float = 120.0) -> str:
    """Run to the end and return what it wrote to stdout; stderr goes to the log.

    Raises:
        PartError: it ended with another code than 0, or not in time.
    """
    with open_log(program.log) as log:
        start = os.fstat(log.fileno()).st_size
        try:
            done = subprocess.run(
                program.launch_argv(),
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=program.directory,
                env=program.launch_environ(),
                start_new_session=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"{program.name} took longer than {seconds:.0f} s"
            raise PartError(message, tail(program.log, start)) from error
    if done.returncode != 0:
        message = f"{program.name} ended with {describe_exit(done.returncode)}"
        raise PartError(message, tail(program.log, start) or done.stdout[-2000:])
    return done.stdout


def describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
