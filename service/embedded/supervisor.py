"""`model-registry up`: the whole service on one machine, as children of one small process.

Only the standard library is loaded here: this process stays for as long as the service runs.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.embedded.applications import Application, Commands, Place
from service.embedded.children import run_once
from service.embedded.connection import FILE, LOCK, save_environ
from service.embedded.files import kept_key
from service.embedded.keeper import Keeper
from service.embedded.launching import Launching
from service.embedded.lock import AlreadyRunningError, exclusive
from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import LOOPBACK, READY_SECONDS, Part, PartError, free_port, port_is_free
from service.embedded.postgres import EmbeddedPostgres
from service.embedded.stop_requests import StopFlag, StopRequested, stop_requests
from service.stores.revisions import wanted_revisions

Console = Callable[[str], None]
STARTED_BEFORE = "started-before"
MIGRATED = "migrated-to"
OWNER = "MODEL_REGISTRY_MIGRATION_DATABASE_URL"
SECRET_KEY = "secret.key"  # noqa: S105 - the name of a file
START_POLL_SECONDS = 0.05
"""Somebody waits for the start."""
WATCH_POLL_SECONDS = 0.1
"""How late the end of a part, or the wish to stop, may be noticed: the loop looks at all of them in turn."""


def up(data: Path, port: int, *, workers: int = 2, console: Console, commands: Commands | None = None) -> int:
    """Run the service in `data` on the loopback interface until SIGINT or SIGTERM; call in the main thread.

    Port 0 stands for any free port. Returns the exit code: 0 when asked to stop, 1 when it could not run.
    """
    data = data.absolute()
    port = port or free_port()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(data / LOCK, f"http://{LOOPBACK}:{port}"), stop_requests() as stop:
            chosen = commands or Commands.of_this_interpreter(port, workers)
            return Supervisor(data, port, chosen, console, stop).run()
    except AlreadyRunningError as error:
        console(str(error))
    except OSError as error:
        console(f"cannot run in {data}: {error}")
    return 1


class Supervisor:
    """Starts the parts in order, watches them, stops them in the opposite order."""

    def __init__(self, data: Path, port: int, commands: Commands, console: Console, stop: StopFlag) -> None:
        self._data = data
        self._port = port
        self._commands = commands
        self._console = console
        self._stop = stop
        self._began = time.monotonic()
        self._postgres = EmbeddedPostgres(data / "postgres", data / "logs" / "postgres.log")
        self._objects = EmbeddedObjects(data / "objects", log=data / "logs" / "objects.log")
        self._parts: list[Part] = [self._objects, self._postgres]  # in the order of stopping
        self._watched: list[Part] = []  # whose end, while starting, means failure

    def run(self) -> int:
        try:
            self._announce(self._start())
            self._watch()
        except StopRequested:
            return 0
        except PartError as failure:
            self._report(failure)
            return 1
        finally:
            self._shut_down()
        return 0

    def _start(self) -> str:
        """Returns the administrator's token on the first start, an empty text later."""
        self._postgres.reserve()
        self._objects.reserve()
        place = Place(self._data, {**os.environ, **self._service_environ()})
        serve = Application(place.program("The API", "serve", self._commands.serve), self._port)
        worker = Application(place.program("The worker", "worker", self._commands.worker))
        owner = Place(self._data, {**place.environ, OWNER: self._postgres.url})
        migrate = Application(owner.program("The migration", "migrate", self._commands.migrate))
        self._parts = [serve, worker, migrate, self._objects, self._postgres]
        for application in (serve, worker, migrate):
            application.prepare()
        if not port_is_free(self._port):
            raise PartError(f"Port {self._port} is taken by another program; choose one with --port.")
        save_environ(self._data, self._service_environ())
        self._watched = [serve, worker, self._objects, self._postgres]
        serve.launch()  # loading its libraries takes longer than all that follows
        self._start_stores()
        if self._migrated() != wanted_revisions():
            self._migrate(migrate)
        worker.launch()
        self._until(serve.ready, f"{serve.name} was not ready", READY_SECONDS)
        self._say(f"{serve.name} is ready")
        return self._first_token(place)

    def _service_environ(self) -> dict[str, str]:
        return {
            "MODEL_REGISTRY_DATABASE_URL": self._postgres.service_url,
            "MODEL_REGISTRY_S3_ENDPOINT": self._objects.endpoint,
            "MODEL_REGISTRY_S3_ACCESS_KEY": self._objects.access_key,
            "MODEL_REGISTRY_S3_SECRET_KEY": self._objects.secret_key,
            "MODEL_REGISTRY_S3_BUCKET": "registry",
            "MODEL_REGISTRY_PUBLIC_URL": self._url(),
            "MODEL_REGISTRY_SECRET_KEY": kept_key(self._data / SECRET_KEY),
        }

    def _start_stores(self) -> None:
        with ThreadPoolExecutor(2) as threads:
            launching = Launching((self._postgres, self._objects), threads, self._say)
            self._until(launching.step, "The database and the object store were not ready", READY_SECONDS)

    def _migrate(self, migrate: Application) -> None:
        """Without a time limit: a migration of much data takes as long as it takes."""
        if not self._started_before():
            self._say("Preparing the database, once")
        migrate.launch()
        self._until(lambda: migrate.exit_code() is not None, "The migration was not done", math.inf)
        if migrate.exit_code() != 0:
            migrate.check()
        (self._data / MIGRATED).write_text(wanted_revisions(), encoding="ascii")
        self._say("The database is up to date")

    def _first_token(self, place: Place) -> str:
        if self._started_before():
            return ""
        token = run_once(place.program("The command for a token", "token", self._commands.token)).strip()
        (self._data / STARTED_BEFORE).touch()
        return token

    def _started_before(self) -> bool:
        return (self._data / STARTED_BEFORE).exists()

    def _migrated(self) -> str:
        """The revisions this data was last migrated to: looking into the database would take a second."""
        mark = self._data / MIGRATED
        return mark.read_text(encoding="ascii") if mark.exists() else ""

    def _until(self, done: Callable[[], bool], complaint: str, seconds: float) -> None:
        """Wait, and give up as soon as somebody asks to stop or a part ends."""
        deadline = time.monotonic() + seconds
        while not done():
            self._stop.check()
            for part in self._watched:
                part.check()
            if time.monotonic() > deadline:
                raise PartError(f"{complaint} after {seconds:.0f} s")
            time.sleep(START_POLL_SECONDS)  # nobody tells when a part is ready

    def _watch(self) -> None:
        keepers = [Keeper(part, self._say_with_time) for part in self._watched]
        while not self._stop.requested:
            for keeper in keepers:
                keeper.tick()
            time.sleep(WATCH_POLL_SECONDS)  # nor when one of several has ended

    def _shut_down(self) -> None:
        self._began = time.monotonic()
        self._print("Stopping …")
        (self._data / FILE).unlink(missing_ok=True)
        for part in self._parts:
            if part.stop():
                self._say(f"{part.name} has stopped")

    def _url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def _announce(self, token: str) -> None:
        lines = [
            "",
            "The model registry is ready.",
            "",
            f"  Web and API     {self._url()}",
            f"  API reference   {self._url()}/docs",
            f"  MLflow          MLFLOW_TRACKING_URI={self._url()}",
            f"  Data            {self._data}",
        ]
        if token:
            lines += [f"  Admin token     {token}", "                  shown only this once: keep it now"]
        self._print("\n".join([*lines, "", "Press Ctrl-C to stop."]))

    def _report(self, failure: PartError) -> None:
        self._print(f"Cannot run: {failure}")
        if failure.log:
            self._print(f"The last lines of its log, from {self._data / 'logs'}:")
            self._print("\n".join(f"  | {line}" for line in failure.log.splitlines()))

    def _say(self, text: str) -> None:
        self._print(f"{time.monotonic() - self._began:5.1f} s  {text}")

    def _say_with_time(self, text: str) -> None:
        self._print(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}")

    def _print(self, text: str) -> None:
        try:
            self._console(text)
        except OSError:
            # The terminal is gone. That must not keep the parts from being watched and stopped in order.
            return
