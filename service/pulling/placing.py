"""Where versions are put: `<to>` is a link into `<to>.versions/`, changed by one rename, so that whoever opens it finds
one version or the other, complete.

<to>                            -> <name>.versions/<hex>
<to>.versions/<hex>/            a version's files, verified; `<hex>` is its digest, `.1` and so on if it was put twice
<to>.versions/<hex>.json        which version that is, for which stage it came, its manifest and signatures
<to>.versions/.staging/<hex>/   files on their way
<to>.versions/.lock             held by the one puller that works here
<to>.versions/.owed             the folder whose command has not ended well yet
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.pulling.errors import Damaged, TargetRefused
from service.pulling.manifest import Manifest, read_manifest
from service.pulling.staging import holds_nothing_else, is_intact, keeps_apart, settle, sync_folder

HASHERS = 4


@dataclass(frozen=True)
class Origin:
    """The stage that held it when it was asked last, and as which version. `ref` is '' in the records of older pullers;
    `signatures` is what the registry sent as these."""

    ref: str
    model: str
    version: int
    signatures: object = None


@dataclass(frozen=True)
class Placed:
    """A version's folder and what it holds."""

    folder: Path
    origin: Origin
    manifest: Manifest


class Target:
    """`<to>` and what lies beside it. All but `locked` is for whoever holds the lock."""

    def __init__(self, to: Path) -> None:
        self.path = Path(os.path.abspath(to))
        self._home = self.path.with_name(self.path.name + ".versions")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises TargetRefused when something else is at `<to>`, or another puller works here. The lock ends with
        the process, whatever ends it."""
        self._check()
        self._home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                by = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
                raise TargetRefused(f"Another puller (process {by}) works on {self.path}.") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def current(self) -> Placed | None:
        """What `<to>` leads to now, unverified."""
        try:
            name = os.readlink(self.path)
        except OSError:
            return None
        return self._placed(self._home / Path(name).name)

    def intact(self, digest: str) -> Placed | None:
        """A folder with that version of which every byte was just read and found right; the current one first."""
        now = self.current()
        found = [now] if now else []
        found += [one for one in map(self._placed, self._folders()) if one and (not now or one.folder != now.folder)]
        return next((one for one in found if one.manifest.digest == digest and is_whole(one)), None)

    def staging(self, manifest: Manifest) -> Path:
        """The folder for the files of this version on their way; those of others, left behind, are removed."""
        base = self._home / ".staging"
        folder = base / manifest.hex
        folder.mkdir(parents=True, exist_ok=True)
        for other in base.iterdir():
            if other != folder:
                shutil.rmtree(other)
        if not keeps_apart(folder, manifest):
            raise Damaged("The version has files whose names are the same to this file system.")
        return folder

    def accept(self, staging: Path, origin: Origin, manifest: Manifest) -> Placed:
        """Make a version of the complete, verified files in `staging`. Not current yet."""
        settle(staging, manifest)
        placed = Placed(self._free(manifest.hex), origin, manifest)
        self._note(placed)
        staging.rename(placed.folder)
        sync_folder(self._home)
        return placed

    def confirm(self, placed: Placed, origin: Origin) -> Placed:
        """The same folder, with a record that says what the registry says of it now."""
        if placed.origin == origin:
            return placed
        confirmed = Placed(placed.folder, origin, placed.manifest)
        self._note(confirmed)
        sync_folder(self._home)
        return confirmed

    def leads_to(self, placed: Placed) -> bool:
        return self.path.is_symlink() and os.readlink(self.path) == self._link_to(placed)

    def swap(self, placed: Placed) -> bool:
        """Let `<to>` lead to it; whether it did not already. Raises TargetRefused."""
        if self.leads_to(placed):
            return False
        link = self._home / ".link"
        link.unlink(missing_ok=True)
        link.symlink_to(self._link_to(placed))
        os.utime(_record(placed.folder))  # says which one was current last
        if self.path.is_dir() and not self.path.is_symlink():
            self._remove_empty()
        os.replace(link, self.path)
        sync_folder(self.path.parent)
        return True

    def clean(self, keep: int) -> None:
        """Remove what killed pullers left, and all versions but the current one and the `keep` before it."""
        now = self.current()
        others = [folder for folder in self._folders() if not now or folder != now.folder]
        others.sort(key=_last_current, reverse=True)
        for folder in others[keep:]:
            doomed = self._home / f".removed-{folder.name}"
            folder.rename(doomed)  # nobody takes half of it for a version
            _record(folder).unlink(missing_ok=True)
            shutil.rmtree(doomed)
        for left in self._home.glob(".removed-*"):
            shutil.rmtree(left)
        shutil.rmtree(self._home / ".staging", ignore_errors=True)
        for record in self._home.glob("[0-9a-f]*.json"):
            if not record.with_suffix("").is_dir():
                record.unlink()

    def owe(self, placed: Placed) -> None:
        """Note that a command has to be run for this version, before it becomes current."""
        self._write(self._home / ".owed", placed.folder.name)

    def owed(self) -> bool:
        """Whether the command for the current version has not ended well yet."""
        now, note = self.current(), self._home / ".owed"
        return now is not None and note.exists() and note.read_text() == now.folder.name

    def paid(self) -> None:
        (self._home / ".owed").unlink(missing_ok=True)

    def _check(self) -> None:
        if self.path.is_symlink():
            if os.readlink(self.path).rpartition("/")[0] != self._home.name:
                raise TargetRefused(f"{self.path} is a link that this command did not make.")
        elif self.path.is_dir():
            if any(self.path.iterdir()):
                raise TargetRefused(f"{self.path} is a folder with something in it; remove it or name another place.")
            if os.path.ismount(self.path):
                raise self._is_a_mount()
        elif self.path.exists():
            raise TargetRefused(f"{self.path} is not a folder.")

    def _link_to(self, placed: Placed) -> str:
        return f"{self._home.name}/{placed.folder.name}"

    def _remove_empty(self) -> None:
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise self._is_a_mount() from error
            raise

    def _is_a_mount(self) -> TargetRefused:
        return TargetRefused(f"{self.path} is a mount; name a place inside of it, such as {self.path}/model.")

    def _folders(self) -> list[Path]:
        return [path for path in self._home.iterdir() if not path.name.startswith(".") and path.is_dir()]

    def _placed(self, folder: Path) -> Placed | None:
        try:
            record = json.loads(_record(folder).read_text())
            manifest = read_manifest(record["files"], record["digest"])
            ref, model, version = str(record.get("ref", "")), str(record["model"]), int(record["version"])
            origin = Origin(ref, model, version, record.get("signatures"))
            return Placed(folder, origin, manifest) if folder.is_dir() else None
        except (OSError, ValueError, KeyError, TypeError, Damaged):
            return None

    def _note(self, placed: Placed) -> None:
        origin, manifest = placed.origin, placed.manifest
        record = {**vars(origin), "digest": manifest.digest, "files": [vars(file) for file in manifest.files]}
        self._write(_record(placed.folder), json.dumps(record))

    def _free(self, hex_digest: str) -> Path:
        folder, number = self._home / hex_digest, 0
        while folder.exists():
            number += 1
            folder = self._home / f"{hex_digest}.{number}"
        return folder

    def _write(self, path: Path, text: str) -> None:
        """Whole or not at all."""
        partial = self._home / ".writing"
        with partial.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)


def is_whole(placed: Placed) -> bool:
    """Whether every file is there with the right bytes, and nothing else; reads all of them."""
    if not holds_nothing_else(placed.folder, placed.manifest):
        return False
    with ThreadPoolExecutor(HASHERS) as pool:
        return all(pool.map(lambda file: is_intact(placed.folder, file), placed.manifest.files))


def _record(folder: Path) -> Path:
    return folder.with_name(folder.name + ".json")


def _last_current(folder: Path) -> int:
    try:
        return _record(folder).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
