"""The puller as one file, as the registry serves it, on the oldest Python and without any library."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from service.pulling.pyz import pyz
from tests.pulling.site import REF, Site, contents, ended, whole

FILES = {"model.pkl": b"41", "data/ü.bin": bytes(100_000)}
SECONDS = 0.3
"""In which the command has started."""


def oldest_python() -> str:
    """3.9, which is not what the service itself runs on."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for python in sorted(pyenv.glob("versions/3.9.*/bin/python")):
        return str(python)
    pytest.skip("there is no Python 3.9 here: `pyenv install 3.9`")


@pytest.fixture
def served(site: Site, tmp_path: Path) -> Path:
    answer = requests.get(f"{site.url}/pull.pyz", timeout=30)
    assert answer.status_code == 200
    path = tmp_path / "pull.pyz"
    path.write_bytes(answer.content)
    return path


def test_it_is_served_to_everyone_and_kept(site: Site) -> None:
    first = requests.get(f"{site.url}/pull.pyz", timeout=30)
    assert first.content == pyz()
    assert first.headers["Content-Type"] == "application/zip"
    assert first.headers["Cache-Control"] == "public, max-age=300"
    again = requests.get(f"{site.url}/pull.pyz", headers={"If-None-Match": first.headers["ETag"]}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("via", ["files", "archive"])
def test_it_pulls_on_the_oldest_python(via: str, site: Site, served: Path, to: Path) -> None:
    number = site.register(FILES)
    digest = site.hold(number)
    command = [oldest_python(), "-I", str(served), REF, "--to", str(to), "--url", site.url, "--via", via]
    done = ended(command, site.environ())
    assert (done.code, done.out) == (0, f"placed orders {number} {digest}\n"), done.err
    assert contents(to) == whole(FILES)
    assert ended(command, site.environ()).out == f"unchanged orders {number} {digest}\n"


def test_the_command_loads_nothing_but_the_standard_library() -> None:
    script = """if True:
        import sys
        before = set(sys.modules)
        from service.start import main
        sys.argv = ["model-registry", "pull", "a/b/c", "--to", "/tmp/x", "--url", "ftp://a"]
        try:
            main()
        finally:
            print(*{name.partition(".")[0] for name in set(sys.modules) - before})
    """
    done = ended([sys.executable, "-c", script], dict(os.environ))
    assert done.code == 1
    assert set(done.out.split()) - set(sys.stdlib_module_names) == {"service"}


@pytest.mark.parametrize("way", ["command", "module", "pyz"])
def test_it_starts_fast(way: str, served: Path) -> None:
    starts = {
        "command": [str(Path(sys.executable).with_name("model-registry")), "pull"],
        "module": [sys.executable, "-m", "service.pulling"],
        "pyz": [sys.executable, str(served)],
    }
    arguments = ["a/b/c", "--to", "/tmp/x", "--url", "ftp://a"]
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert subprocess.run([*starts[way], *arguments], stderr=subprocess.DEVNULL, check=False).returncode == 1
        took.append(time.monotonic() - began)
    assert min(took) < SECONDS, took
