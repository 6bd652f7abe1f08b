"""The clients' virtual environments: made once, by whoever comes first, and left alone while they are as pinned."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import Client, PythonMissingError, find_python, prepare


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(environments, "HERE", tmp_path)
    monkeypatch.setattr(environments, "CACHE", tmp_path / "cache")
    (tmp_path / "requirements-small.txt").write_text("six==1.17.0\n")
    return Client("small")


def test_two_at_once_make_it_once(small: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(prepare, [small, small]))
    made = (small.folder / "pyvenv.cfg").stat()
    subprocess.run([small.command("python"), "-c", "import six"], check=True)
    prepare(small)
    assert (small.folder / "pyvenv.cfg").stat() == made


def test_half_of_one_and_other_pins_make_it_anew(small: Client, tmp_path: Path) -> None:
    (small.folder / "bin").mkdir(parents=True)  # what a process that was killed leaves
    (small.folder / "bin" / "python").symlink_to("/nowhere/python")
    prepare(small)
    (tmp_path / "requirements-small.txt").write_text("six==1.16.0\n")
    prepare(small)
    code = "import six; print(six.__version__)"
    told = subprocess.run([small.command("python"), "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout == "1.16.0\n"


def test_a_python_that_is_missing_is_named() -> None:
    with pytest.raises(
        PythonMissingError, match=r"1\.0 needs Python 3\.99, and none is at hand: `pyenv install 3\.99`"
    ):
        find_python(Client("1.0", "3.99"))
