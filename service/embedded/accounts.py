"""The user PostgreSQL runs as when we are root: it refuses to run as root itself."""

from __future__ import annotations

import errno
import os
import pwd
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from service.embedded.parts import PartError

NAME = "model-registry"
ACL = "system.posix_acl_access"
# Tags of <linux/posix_acl.h>; entries are kept in the order of tag and id.
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
SEARCH = 1


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


def database_account() -> Account | None:
    """None for an ordinary user, who runs everything as himself; root gets an own system user, once.

    Raises:
        PartError: the user cannot be created.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _create()
    return Account(entry.pw_uid, entry.pw_gid)


def _create() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", NAME]
    try:
        # The exit code is not looked at: two starts at once both end up with the user.
        subprocess.run(command, capture_output=True, check=False)
        return pwd.getpwnam(NAME)
    except (FileNotFoundError, KeyError) as error:
        message = f"PostgreSQL refuses to run as root: create a system user {NAME}, or start as another user."
        raise PartError(message) from error


def allow_search(directory: Path, account: Account) -> None:
    """Let `account` pass through `directory` and all directories above it, and do nothing else there."""
    resolved = directory.resolve()
    for folder in (*reversed(resolved.parents), resolved):
        if not _may_search(folder, account):
            _grant_search(folder, account)


def _may_search(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    entries = _entries(folder)
    # A later chmod leaves the entry in place and takes its effect away through the mask.
    if entries.get((USER, account.uid), 0) & entries.get((MASK, NO_ID), 0) & SEARCH:
        return True
    return bool(status.st_mode & 0o001) and status.st_gid != account.gid


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    """Permissions by tag and id; empty for a folder without an access list."""
    try:
        blob = os.getxattr(folder, ACL)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return {}
        raise
    return {(tag, owner): perm for tag, perm, owner in struct.iter_unpack("<HHI", blob[4:])}


def _grant_search(folder: Path, account: Account) -> None:
    """By an access list entry for this one user; where there are none, by the search bit for all users."""
    mode = folder.stat().st_mode
    try:
        os.setxattr(folder, ACL, _acl(folder, mode, account))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        folder.chmod((mode & 0o7777) | 0o001)


def _acl(folder: Path, mode: int, account: Account) -> bytes:
    """The folder's access list with our entry in it. The mask bounds named entries, so it must allow ours."""
    entries = _entries(folder) or {
        (USER_OBJ, NO_ID): mode >> 6 & 7,
        (GROUP_OBJ, NO_ID): mode >> 3 & 7,
        (OTHER, NO_ID): mode & 7,
    }
    mask = entries.get((MASK, NO_ID), mode >> 3 & 7)
    entries |= {(USER, account.uid): SEARCH, (MASK, NO_ID): mask | SEARCH}
    packed = (struct.pack("<HHI", tag, perm, owner) for (tag, owner), perm in sorted(entries.items()))
    return struct.pack("<I", 2) + b"".join(packed)


def allow_reading(trees: Iterable[Path]) -> None:
    """Installed programs must be readable to all; a package installed under umask 077 is not."""
    for tree in trees:
        for folder, _, names in os.walk(tree):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                mode = path.stat().st_mode
                path.chmod((mode & 0o7777) | 0o444 | (0o111 if mode & 0o100 else 0))


def give(tree: Path, account: Account) -> None:
    """Make `account` the owner of `tree`. The top comes last: its owner tells that all the rest is done."""
    if tree.stat().st_uid == account.uid:
        return
    for folder, _, names in os.walk(tree, topdown=False):
        for path in (*(os.path.join(folder, name) for name in names), folder):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
