"""Build the Dockerfile where there is neither a Docker daemon nor a registry to pull the base from.

`buildah` builds, and a `debootstrap` tree of Debian with its own Python stands in for the official Python
image. Both come from Debian's packages; root is needed. By hand: `python tests/deploy/build_image.py`.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/model-registry:test"
BASE = "localhost/model-registry-base:bookworm"
BASE_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# What a machine may say about where its packages come from. It reaches the build as a mounted file only.
PIP_KEYS = {"index-url", "extra-index-url", "trusted-host", "cert", "timeout", "default-timeout"}


def missing_tools() -> list[str]:
    """What keeps this machine from building; empty when it can."""
    missing = [tool for tool in ("buildah", "debootstrap") if shutil.which(tool) is None]
    return missing + (["root"] if os.geteuid() != 0 else [])


def buildah(*arguments: str) -> list[str]:
    """A buildah command line that needs no daemon and keeps its images out of the system's store."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-registry"
    return ["buildah", "--root", str(cache / "images"), "--runroot", str(cache / "run"), *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "BUILDAH_ISOLATION": "chroot"}


def run(command: list[str]) -> str:
    """Standard output of a command; its standard error passes through."""
    result = subprocess.run(command, env=environment(), check=True, text=True, stdout=subprocess.PIPE)
    return result.stdout.strip()


def build(base: str = "") -> str:
    """Build the image, on the given base or else on Debian's Python, and return its name."""
    if not base:
        base = BASE
        if subprocess.run(buildah("inspect", "--type", "image", BASE), capture_output=True).returncode:
            _build_base()
    with tempfile.TemporaryDirectory() as scratch:
        volumes = [f"--volume={source}:{target}:ro" for source, target in _pip_mounts(Path(scratch))]
        options = [_layers(), f"--build-arg=BASE={base}", *volumes, "--tag", IMAGE]
        run(buildah("build", *options, str(ROOT)))
    return IMAGE


def _layers() -> str:
    """Keep each layer for the next build, but not with a storage that copies the whole image for each."""
    storage: str = json.loads(run(buildah("info")))["store"]["GraphDriverName"]
    return f"--layers={'false' if storage == 'vfs' else 'true'}"


def _build_base() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(tree)])
        for waste in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(tree / waste)
        # An archive, since the tree's sockets, devices and mounted /proc cannot be copied as they are.
        archive = Path(scratch) / "base.tar"
        run(["tar", "-C", str(tree), "--exclude=./proc/*", "--exclude=./sys/*", "-cf", str(archive), "."])
        recipe = Path(scratch) / "Dockerfile"
        recipe.write_text("FROM scratch\nADD base.tar /\n")
        run(buildah("build", "--tag", BASE, "--file", str(recipe), scratch))


def _pip_mounts(scratch: Path) -> Iterator[tuple[str, str]]:
    """This machine's pip settings as /etc/pip.conf, and the certificates that they name.

    Package indexes on this machine's own disk are left out: the build cannot see them.
    """
    settings: dict[str, str] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, quoted = line.partition("=")
        words = [word for word in str(ast.literal_eval(quoted)).split() if not word.startswith("file:")]
        key = name.rpartition(".")[2]
        if key in PIP_KEYS and words:
            settings[key] = " ".join(words)
    config = scratch / "pip.conf"
    config.write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in settings.items())]))
    yield str(config), "/etc/pip.conf"
    if "cert" in settings:
        yield settings["cert"], settings["cert"]


if __name__ == "__main__":
    if missing_tools():
        sys.exit(f"missing: {', '.join(missing_tools())}")
    print(build(*sys.argv[1:]))
