"""The model servers that serve a pulled folder, in an environment of their own: `make servers`.

What is in it is pinned by the requirements beside this file, which `uv pip compile` writes.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".cache" / "servers"
REQUIREMENTS = HERE / "requirements-servers.txt"
KSERVE = "kserve-storage==0.21.0"
"""Without what it needs for the clouds: only its way to an https address is tried."""
SECONDS = 120


class ServersMissingError(Exception):
    """The environment cannot be made here, and why."""


def prepare() -> Path:
    """Where the environment's programs are; made unless it is there as pinned. Two processes at once make it once."""
    pinned = hashlib.sha256(REQUIREMENTS.read_bytes() + KSERVE.encode()).hexdigest()
    programs, stamp = FOLDER / "bin", FOLDER / "pinned"
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (programs / "python").exists() and stamp.exists() and stamp.read_text() == pinned:
            return programs
        if sys.version_info >= (3, 13):
            raise ServersMissingError("MLServer 1.7 needs a Python before 3.13")
        _uv("venv", "--clear", "--python", sys.executable, str(FOLDER))
        _uv("pip", "install", "--python", str(programs / "python"), "--requirements", str(REQUIREMENTS))
        _uv("pip", "install", "--python", str(programs / "python"), "--no-deps", KSERVE)
        stamp.write_text(pinned)
    return programs


def _uv(*arguments: str) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    try:
        subprocess.run([uv, *arguments, "--quiet"], check=True, timeout=SECONDS, stderr=subprocess.PIPE, text=True)
    except subprocess.TimeoutExpired as error:
        raise ServersMissingError(f"the packages did not come within {SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise ServersMissingError(f"the packages cannot be had: {error.stderr[-500:]}") from error


if __name__ == "__main__":
    print(prepare())
