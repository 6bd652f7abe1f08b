"""A virtual environment for each client that the tests start, below `.cache/clients/`: `make clients`.

What is in one is pinned by the requirements beside this file, which `uv pip compile` writes (the command is in their
first lines). Nothing is downloaded but packages: each client runs on a Python that is at hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "clients"


class PythonMissingError(Exception):
    """No Python at hand that the client can run on."""


@dataclass(frozen=True)
class Client:
    """`python` is the minor version that it needs; empty when the project's own will do."""

    name: str
    python: str = ""

    @property
    def folder(self) -> Path:
        return CACHE / self.name

    def command(self, name: str) -> str:
        return str(self.folder / "bin" / name)


MLFLOW = (Client("1.30.1", "3.10"), Client("2.3.2", "3.10"), Client("2.22.5"), Client("3.17.2"))
EXPORT_IMPORT = Client("mlflow-export-import-1.2.0")


def prepare(client: Client) -> None:
    """Makes the environment unless it is there as pinned. Two processes at once make it once.

    Raises PythonMissingError.
    """
    requirements = HERE / f"requirements-{client.name}.txt"
    pinned = hashlib.sha256(requirements.read_bytes()).hexdigest()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{client.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = client.folder / "pinned"
        # The link to a Python that was removed meanwhile leads nowhere.
        if Path(client.command("python")).exists() and stamp.exists() and stamp.read_text() == pinned:
            return
        python = find_python(client)
        shutil.rmtree(client.folder, ignore_errors=True)  # uv clears nothing that is not whole
        _uv("venv", "--python", python, str(client.folder))
        _uv("pip", "install", "--python", client.command("python"), "--requirements", str(requirements))
        stamp.write_text(pinned)


def find_python(client: Client) -> str:
    """Raises PythonMissingError."""
    if client.python in ("", f"{sys.version_info.major}.{sys.version_info.minor}"):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in sorted(pyenv.glob(f"versions/{client.python}.*/bin/python")):
        return str(python)
    # Not before: pyenv's shims, which it meets on the path, fail for a version that is not selected.
    found = subprocess.run(
        [_program("uv"), "python", "find", "--no-python-downloads", client.python], capture_output=True, text=True
    )
    if found.returncode:
        raise PythonMissingError(
            f"The client {client.name} needs Python {client.python}, and none is at hand:"
            f" `pyenv install {client.python}` or `uv python install {client.python}`."
        )
    return found.stdout.strip()


def _uv(*arguments: str) -> None:
    subprocess.run([_program("uv"), *arguments, "--quiet"], check=True)


def _program(name: str) -> str:
    """One that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def main() -> None:
    for client in (*MLFLOW, EXPORT_IMPORT):
        try:
            prepare(client)
        except PythonMissingError as error:
            print(f"left out: {error}")
        else:
            print(f"{client.name}: {client.folder}")


if __name__ == "__main__":
    main()
