"""gunicorn's settings; `model-registry serve` passes this module.

The monkey patch comes before everything else is imported, since the application is loaded once, before the
workers are forked from it (MLflow takes seconds and 200 MB to import).
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from service.green import make_psycopg2_green  # noqa: E402

make_psycopg2_green()

# gunicorn listens for SIGTERM once the application is loaded; until then, as a container's first process, nobody would.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

# Imports make hundreds of thousands of objects and no garbage: collecting between them costs a second.
gc.disable()

worker_class = "service.gunicorn_worker.Worker"
preload_app = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - heartbeats must not wait for a disk
# Those who wait for a change must not keep others out.
worker_connections = 1000 + int(os.environ.get("MODEL_REGISTRY_WATCHERS") or 2000)
timeout = 60
graceful_timeout = 30
keepalive = 5  # idle connections must not hold up a stop
accesslog = os.environ.get("MODEL_REGISTRY_ACCESS_LOG") or None
errorlog = "-"
server_header = False
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Before the first fork: what is loaded now is shared by all workers for as long as nobody writes to it."""
    gc.collect()
    gc.freeze()


def post_fork(server: Any, worker: Any) -> None:
    gc.enable()


def post_worker_init(worker: Any) -> None:
    """Told to stop, a process lets those go who wait; it finishes what else it has begun."""
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: Any) -> None:
        worker.wsgi.stop()
        before(number, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGTERM, stop)
