"""Run as root, PostgreSQL gets a user of its own, and that user gets no more than passage."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.embedded.accounts import Account, allow_reading, allow_search, database_account, give

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
STRANGER = Account(uid=64999, gid=64999)
OTHER = Account(uid=64998, gid=64998)


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    """A file two private folders deep."""
    folder = tmp_path / "private" / "inner"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    file = folder / "file"
    file.write_text("content")
    file.chmod(0o644)
    return file


def test_root_gets_one_user_for_the_database() -> None:
    account = database_account()
    assert account is not None
    assert account.uid != 0
    assert database_account() == account


def test_passage_is_given_to_one_user_and_is_passage_only(inner: Path) -> None:
    assert not can(STRANGER, "read", inner)
    allow_search(inner.parent, STRANGER)
    assert can(STRANGER, "read", inner)
    assert not can(STRANGER, "list", inner.parent)
    assert not can(OTHER, "read", inner)
    allow_search(inner.parent, OTHER)
    assert can(OTHER, "read", inner)
    assert can(STRANGER, "read", inner)


def test_passage_is_given_again_after_chmod_took_it_away(inner: Path) -> None:
    allow_search(inner.parent, STRANGER)
    inner.parent.chmod(0o700)
    assert not can(STRANGER, "read", inner)
    allow_search(inner.parent, STRANGER)
    assert can(STRANGER, "read", inner)


def test_open_folders_are_left_alone(inner: Path) -> None:
    inner.parent.chmod(0o755)
    allow_search(inner.parent, STRANGER)
    assert "system.posix_acl_access" not in os.listxattr(inner.parent)


def test_a_private_installation_becomes_readable(inner: Path) -> None:
    program = inner.with_name("program")
    program.touch(0o700)
    inner.chmod(0o600)
    allow_reading([inner.parent])
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (inner.parent, inner, program)]
    assert modes == [0o755, 0o644, 0o755]


def test_giving_reaches_every_file(inner: Path) -> None:
    give(inner.parent, STRANGER)
    assert {path.stat().st_uid for path in (inner.parent, inner)} == {STRANGER.uid}


def can(account: Account, what: str, path: Path) -> bool:
    action = {"read": "open(sys.argv[1])", "list": "os.listdir(sys.argv[1])"}[what]
    become = f"os.setgroups([]); os.setgid({account.gid}); os.setuid({account.uid})"
    program = f"import os, sys; {become}; {action}"
    done = subprocess.run([sys.executable, "-S", "-c", program, str(path)], capture_output=True, text=True)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0
