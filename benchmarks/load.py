"""Load on HTTP by `wrk` (Debian's package), whose one thread is never what holds anything up."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """Requests a second, and the time that 99 of 100 stayed below, in milliseconds."""

    rate: float
    p99: float


def load(url: str, headers: Mapping[str, str], connections: int, seconds: int, paths: Sequence[str] = ()) -> Load:
    """Ask `url`, or of its host each of the paths in turn, over that many connections for that long.

    Every answer must be of one kind: 2xx, or 304 when `If-None-Match` was sent.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "paths.lua"
        script.write_text(_script(paths))
        done = subprocess.run([*command, "-s", str(script), url], capture_output=True, text=True)
    found = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b.*Requests/sec:\s+([0-9.]+)", done.stdout, re.DOTALL)
    if done.returncode or not found or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"{url}: {done.stdout}{done.stderr}")
    return Load(float(found[3]), float(found[1]) * _UNITS[found[2]])


def _script(paths: Sequence[str]) -> str:
    if not paths:
        return ""
    rows = ",".join(f'"{path}"' for path in paths)
    return f"""
local paths = {{{rows}}}
local requests = {{}}
local at = 0
function init()
  for number, path in ipairs(paths) do requests[number] = wrk.format("GET", path) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""
