"""Becomes another program after tying its life to that of the process which started it.

Run by path, as `python -I -S launch.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT...]`: when PARENT dies,
however it dies, the kernel sends SIGNAL to PROGRAM (Linux; elsewhere only the next start clears up).
UID -1 keeps the user. The process id stays the same. A function run between fork and exec would do the
same without a second interpreter, but is not safe in a process that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, death_signal: int, uid: int, gid: int, command: list[str]) -> None:
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        _die_with(parent, death_signal)
    # Python ignores these two, and an ignored signal stays ignored across exec.
    for name in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(name, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - a list from `Program`, nothing of a client's


def _die_with(parent: int, death_signal: int) -> None:
    """Comes after the change of user: that change clears the request again."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the request took effect
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
