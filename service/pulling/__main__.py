"""`model-registry pull`, `python -m service.pulling`, `python pull.pyz`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from service.pulling.asking import Ref
from service.pulling.client import Registry
from service.pulling.errors import PullError, Unavailable
from service.pulling.progress import Console
from service.pulling.pulling import Options, Pulled

OFFLINE = 6
FAILED = 1
CODES = """\
exit codes:
  0  the folder holds what the stage holds
  1  something failed on this machine: its disk, the token's file
  2  the command line is wrong
  3  the registry says no: token, address, or nothing is in the stage
  4  the registry or its object store does not answer, and there is no copy for this stage
  5  bytes are not those that were registered; nothing of them was placed
  6  the registry does not answer; the folder holds the last copy, verified (0 with --offline-ok)
  7  the target cannot be used: something else is there, or another puller is at work
  8  the command of --exec failed; the folder did change
"""


class CommandFailed(PullError):
    """It is run again by the next pull that has a command."""

    exit_code = 8


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """The exit code."""
    parser = make_parser(program)
    given = parser.parse_args(arguments)
    console = Console(given.quiet)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        registry = Registry(
            given.url,
            _token(given),
            timeout=given.timeout,
            options=Options(
                given.keep, given.jobs, given.via, given.retry_for, given.instance, tuple(given.verify_key)
            ),
            progress=console,
        )
        return _run(given, registry, console)
    except PullError as error:
        console.warn(str(error))
        return error.exit_code
    except OSError as error:
        console.warn(f"{error}.")
        return FAILED


def _run(given: argparse.Namespace, registry: Registry, console: Console) -> int:
    hook = Command(given.exec) if given.exec else None
    if given.follow:
        for pulled in registry.follow(str(given.ref), given.to, interval=given.interval, wait=given.wait, hook=hook):
            _tell(pulled)
    try:
        _tell(registry.pull(str(given.ref), given.to, hook=hook))
    except Unavailable as error:
        last = registry.last(str(given.ref), given.to)
        if last is None:
            raise
        console.warn(f"{error} {given.to} still holds version {last.version}, verified.")
        _tell(last)
        return 0 if given.offline_ok else OFFLINE
    return 0


class Command:
    """What --exec says, run by the shell with the version in its environment."""

    def __init__(self, line: str) -> None:
        self._line = line

    def __call__(self, pulled: Pulled) -> None:
        """Raises CommandFailed."""
        environ = {
            **os.environ,
            "MODEL_REGISTRY_DIGEST": pulled.digest,
            "MODEL_REGISTRY_VERSION": str(pulled.version),
            "MODEL_REGISTRY_PATH": str(pulled.path),
        }
        # Its output is for people, as ours on stderr is: stdout says what was pulled.
        code = subprocess.run(["/bin/sh", "-c", self._line], env=environ, stdout=sys.stderr, check=False).returncode
        if code:
            raise CommandFailed(
                f"The command of --exec ended with {code}; {pulled.path} holds version {pulled.version}."
            )


def _tell(pulled: Pulled) -> None:
    state = "offline" if pulled.offline else "placed" if pulled.changed else "unchanged"
    print(f"{state} {pulled.model} {pulled.version} {pulled.digest}", flush=True)


def _token(given: argparse.Namespace) -> str | Path:
    file: Path | None = given.token_file
    return file if file else os.environ.get("MODEL_REGISTRY_TOKEN", "")


def _end(number: int, _: object) -> None:
    """At any moment, as a kill would: nothing has to be cleaned up."""
    os._exit(128 + number)


def _ref(text: str) -> Ref:
    try:
        return Ref.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _at_least(least: int) -> type:
    class Number(int):
        def __new__(cls, text: str) -> Number:
            number = super().__new__(cls, text)
            if number < least:
                raise argparse.ArgumentTypeError(f"{number} is less than {least}")
            return number

    return Number


def make_parser(program: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Let a folder hold what a stage holds, every byte verified.",
        epilog=CODES + "\nThe token is read from MODEL_REGISTRY_TOKEN or --token-file.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    url = os.environ.get("MODEL_REGISTRY_URL")
    add = parser.add_argument
    add("ref", type=_ref, metavar="ENVIRONMENT/MODEL/STAGE")
    add("--to", type=Path, required=True, metavar="FOLDER", help="becomes a link to the version's folder beside it")
    add("--url", default=url, required=not url, help="of the registry [MODEL_REGISTRY_URL]")
    add("--token-file", type=Path, help="read again when it changes, as mounted secrets do")
    add("--follow", action="store_true", help="go on, and swap the folder whenever the stage changes")
    add("--exec", metavar="CMD", help="run by the shell after a swap; knows MODEL_REGISTRY_DIGEST, _VERSION and _PATH")
    add("--offline-ok", action="store_true", help="be content with the last verified copy if nothing answers")
    add("--verify-key", type=Path, action="append", default=[], metavar="PEM", help="a public key, one of which signed")
    add("--keep", type=_at_least(0), default=1, metavar="N", help="versions to keep beside the current one [1]")
    add("--via", choices=("auto", "files", "archive"), default="auto", help="presigned URLs, or through the registry")
    add("--jobs", type=_at_least(1), default=8, metavar="N", help="files at once [8]")
    add("--wait", type=_at_least(0), default=60, metavar="S", help="let the registry hold its answer back [60]")
    add("--interval", type=_at_least(1), default=30, metavar="S", help="between questions, where it does not [30]")
    add("--retry-for", type=_at_least(0), default=60, metavar="S", help="go on while nothing answers [60]")
    add("--timeout", type=_at_least(1), default=30, metavar="S", help="for one answer [30]")
    add(
        "--instance",
        default="",
        metavar="ID",
        help="tell the stage what is here, under this id, such as the pod's name",
    )
    add("-q", "--quiet", action="store_true", help="tell only what goes wrong")
    return parser


if __name__ == "__main__":
    sys.exit(main())
