"""The puller, killed with -9 just before the nth time that it touches the disk: `python -m tests.pulling.fuse N LOG …`.

Each time is a line of LOG. Files are taken one by one, so that they come in the same order.
"""

from __future__ import annotations

import os
import signal
import sys

TOUCHES = {
    "open",
    "os.chmod",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.utime",
    "shutil.rmtree",
}


def _below_a_folder(given: tuple[object, ...]) -> bool:
    """Whether a path goes by the descriptor of an open folder, the last of the arguments."""
    return isinstance(given[-1], int) and given[-1] > 2


def main() -> None:
    at, log, *arguments = sys.argv[1:]
    folder = arguments[arguments.index("--to") + 1].rpartition("/")[0]
    lines = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    count = 0

    def touched(event: str, given: tuple[object, ...]) -> None:
        nonlocal count
        if event in TOUCHES and (any(folder in str(one) for one in given) or _below_a_folder(given)):
            os.write(lines, f"{event} {given[0]}\n".encode())
            if count == int(at):
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    from service.pulling.__main__ import main as pull

    sys.addaudithook(touched)
    sys.exit(pull([*arguments, "--jobs", "1"]))


if __name__ == "__main__":
    main()
