"""The worker that kills itself in the middle of freezing a version: once, while the file that it is given exists.

Run as `python -m tests.hosting.dying_worker FILE`. It finds dead workers' jobs after a second and a half.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from service import worker
from service.domain.layout import VERSIONS
from service.settings import Settings
from service.stores.objects import S3Objects
from service.usecases.object_ports import ObjectInfo
from service.wiring import make_parts

worker.HEARTBEAT = 0.3
worker.STALLED = 1.5


class DyingObjects(S3Objects):
    fuse: Path

    def copy(self, source: str, target: str) -> ObjectInfo:
        copied = super().copy(source, target)
        if target.startswith(VERSIONS) and self.fuse.exists():
            self.fuse.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return copied


def main() -> None:
    settings = Settings.from_env(os.environ)
    objects = DyingObjects(settings.s3)
    objects.fuse = Path(sys.argv[1])
    parts = replace(make_parts(settings), objects=objects)
    worker.run_worker(worker.make_worker_app(settings, parts), concurrency=1)


if __name__ == "__main__":
    main()
