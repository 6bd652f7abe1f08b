"""What the audit trail adds to a change of a stage, and how fast a trail is verified.

`python -m benchmarks.audit` starts a Postgres of its own. Both sides of a comparison run in turns on the same database.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest import mock

from service.domain.audit import AuditQuery, Change
from service.domain.environment import Environment, Place
from service.domain.identity import OPERATOR
from service.domain.model import Manifest, ManifestFile
from service.domain.workspace import Workspace
from service.embedded.postgres import start_postgres
from service.stores.audit_rows import PostgresAudit
from service.stores.migrate import migrate
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.clock import utc_now
from service.usecases.model_ports import NewVersion
from service.usecases.promote import Request, promote
from service.usecases.read_audit import audit_rows
from service.usecases.record_change import record
from service.usecases.verify_audit import verify

ROUNDS, CHANGES, THREADS, ROWS = 3, 50, 8, 50_000


def _forget(self: PostgresAudit, change: Change, at: datetime) -> None:
    """Record nothing."""


@contextmanager
def _unrecorded() -> Iterator[None]:
    with mock.patch.object(PostgresAudit, "append", _forget):
        yield


@contextmanager
def _recorded() -> Iterator[None]:
    yield


def _fill(store: PostgresRegistry) -> None:
    with store.transaction() as tx:
        tx.workspaces.put(Workspace("dev", "mlflow", "", "", utc_now()))
        for number in range(THREADS):
            tx.environments.put(Environment(f"e{number}", ("live",), "", utc_now()))
        for number in (1, 2):
            manifest = Manifest.of([ManifestFile("MLmodel", number, f"{number:064}")])
            tx.models.add_version(NewVersion("m", "dev", manifest, "", "", {}, None, {}, number))


def _change(store: PostgresRegistry, environment: str, number: int) -> float:
    """Milliseconds of one change."""
    began = time.perf_counter()
    with store.transaction() as tx:
        promote(tx, utc_now, OPERATOR, Request(Place(environment, "m", "live"), version=1 + number % 2))
    return 1000 * (time.perf_counter() - began)


def _at_once(store: PostgresRegistry) -> float:
    """Changes a second, each thread in an environment of its own."""

    def work(environment: str) -> None:
        for number in range(CHANGES):
            _change(store, environment, number)

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        for done in [threads.submit(work, f"e{number}") for number in range(THREADS)]:
            done.result()
    return THREADS * CHANGES / (time.perf_counter() - began)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with start_postgres(Path(folder) / "postgres") as server:
            engine = make_engine(server.url)
            migrate(engine, lambda _: None)
            store = PostgresRegistry(engine, JobQueue())
            _fill(store)
            _compare(store)
            _verify(store)
            engine.dispose()


def _compare(store: PostgresRegistry) -> None:
    modes = {"without": _unrecorded, "with": _recorded}
    alone: dict[str, list[float]] = {name: [] for name in modes}
    together: dict[str, list[float]] = {name: [] for name in modes}
    for number in range(2 * ROUNDS * CHANGES):
        for name, mode in modes.items():
            with mode():
                alone[name].append(_change(store, "e0", number if name == "with" else number + 1))
    for _ in range(ROUNDS):
        for name, mode in modes.items():
            with mode():
                together[name].append(_at_once(store))
    for name in modes:
        print(f"{name}: median {statistics.median(alone[name]):.2f} ms a change, one after another")
        print(f"{name}: median {statistics.median(together[name]):.0f} changes/s, {THREADS} at once")
    added = [after - before for before, after in zip(alone["without"], alone["with"], strict=True)]
    print(f"added: median {statistics.median(added):.2f} ms of {len(added)} pairs")


def _verify(store: PostgresRegistry) -> None:
    with store.transaction() as tx:
        for number in range(ROWS):
            record(tx, Change("thing.changed", OPERATOR, after={"number": number}), utc_now())
        began = time.perf_counter()
    print(f"{ROWS / (time.perf_counter() - began):.0f} rows/s written in one transaction")
    began = time.perf_counter()
    done = verify(audit_rows(store, AuditQuery()))
    print(f"{done.rows / (time.perf_counter() - began):.0f} rows/s verified")


if __name__ == "__main__":
    main()
