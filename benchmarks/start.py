"""Start to ready of `model-registry up`, cold and warm, and the memory of all its processes (PSS)."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        cold, _ = start(data)
        warm = [start(data) for _ in range(RUNS)]
    seconds = [row[0] for row in warm]
    memory = [row[1] for row in warm]
    print(f"first start, with migrations   {cold:6.1f} s")
    for name, unit, values in (("warm start to ready", "s", seconds), ("PSS of all processes", "MB", memory)):
        spread = f"(of {RUNS}: {min(values):.1f} to {max(values):.1f})"
        print(f"{name:<30} {statistics.median(values):6.1f} {unit} {spread}")


def start(data: Path) -> tuple[float, float]:
    """Seconds until it says it is ready, and megabytes then."""
    began = time.monotonic()
    command = [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", "5399"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as registry:
        assert registry.stdout is not None
        for line in registry.stdout:
            if "Ctrl-C" in line:
                break
        took = time.monotonic() - began
        memory = pss(registry.pid, data)
        registry.send_signal(signal.SIGINT)
        registry.stdout.read()
    return took, memory


def pss(pid: int, data: Path) -> float:
    """Megabytes of the process and of every other one that belongs to it (by descent or by its data directory)."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parents[int(status.parent.name)] = int(re.search(r"PPid:\s+(\d+)", status.read_text())[1])  # type: ignore[index]
        except OSError:
            continue  # it ended meanwhile
    family = {pid}
    for _ in range(6):
        family |= {child for child, parent in parents.items() if parent in family}
    for process in parents:
        try:
            said = Path(f"/proc/{process}/environ").read_bytes() + Path(f"/proc/{process}/cmdline").read_bytes()
            if str(data).encode() in said:
                family.add(process)
        except OSError:
            continue
    for _ in range(6):
        family |= {child for child, parent in parents.items() if parent in family}
    return sum(_pss(process) for process in family) / 1024


def _pss(process: int) -> int:
    try:
        found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
