"""Run the built image the way a cluster would, without a container engine.

Own mount and process namespaces; the root file system read-only, a fresh /tmp; user 10001 without any
capability or way to gain one; no variables but the image's and those given. An init process passes SIGTERM
on, as with `docker run --init` and in the chart's pods. The network is the host's.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.build_image import buildah, run

ENTER = """set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
chroot --userspec="$user" --groups= "$root" setpriv --no-new-privs "$@" &
trap "kill -TERM $!" TERM
code=0
wait $! || code=$?
if kill -0 $! 2>/dev/null; then code=0; wait $! || code=$?; fi
exit $code
"""
NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")


@dataclass(frozen=True)
class Container:
    """`root` is the image's file system, `config` its OCI configuration."""

    root: Path
    config: dict[str, Any]

    def command(self, arguments: Sequence[str], environ: Mapping[str, str]) -> list[str]:
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
        enter = [*NAMESPACES, "sh", "-c", ENTER, "sh", str(self.root), self.config["User"]]
        return [*enter, "env", "-i", "-C", self.config["WorkingDir"], *variables, *arguments]

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Arguments come after the entrypoint, as with `docker run IMAGE`."""
        command = self.command([*self.config["Entrypoint"], *arguments], environ or {})
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def python(self, code: str) -> str:
        return subprocess.run(
            self.command(["python", "-c", code], {}), capture_output=True, text=True, check=True
        ).stdout

    @contextmanager
    def running(self, *arguments: str, environ: Mapping[str, str], log: Path) -> Iterator[Process]:
        """A container in the background; what is left of it at the end is killed."""
        with log.open("wb") as output:
            command = self.command([*self.config["Entrypoint"], *arguments], environ)
            outer = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Process(outer, log)
        finally:
            outer.kill()
            outer.wait()


@dataclass(frozen=True)
class Process:
    outer: subprocess.Popen[bytes]
    log: Path

    def stop(self, seconds: float) -> int:
        """Ask the container to end, as a cluster does; its exit code."""
        child = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", *child], check=True)
        return self.outer.wait(seconds)


@contextmanager
def container(image: str) -> Iterator[Container]:
    name = run(buildah("from", image))
    try:
        config = json.loads(run(buildah("inspect", name)))["OCIv1"]["config"]
        yield Container(Path(run(buildah("mount", name))), config)
    finally:
        run(buildah("rm", name))
