"""Stores that end their process with kill -9 at a chosen step. They are built here, and only here."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import procrastinate
import psycopg2.extensions
import sqlalchemy as sa

from service.settings import Settings
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine
from service.usecases.object_ports import ObjectInfo, ObjectStore
from service.wiring import Parts, make_parts

_CONNECTING = ("SET idle", "select pg_catalog", "select current_schema", "show ", "SELECT 1")
_JOB = re.compile(r"procrastinate_(fetch_job|finish_job|retry_job)")


Point = tuple[str, int]
"""A step's name, and how many of that name come before it in the same process."""


class Fuse:
    """Writes the name of each step of this process to `log`, and sends the process `sent` at `at`."""

    def __init__(self, log: Path, at: Point | None = None, sent: signal.Signals = signal.SIGKILL) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._at = at
        self._sent = sent
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def step(self, name: str) -> None:
        with self._lock:
            os.write(self._log, f"{name}\n".encode())
            if self._at == (name, self._counts[name]):
                os.kill(os.getpid(), self._sent)
            self._counts[name] += 1


def points(steps: Sequence[str]) -> list[Point]:
    """The first, the middle and the last step of each name, in the order in which they come."""
    counts = Counter(steps)
    wanted = {(name, n) for name, count in counts.items() for n in (0, count // 2, count - 1)}
    seen: Counter[str] = Counter()
    found = []
    for name in steps:
        if (name, seen[name]) in wanted:
            found.append((name, seen[name]))
        seen[name] += 1
    return found


def faulty_parts(settings: Settings, fuse: Fuse) -> Parts:
    """What `make_parts` makes, every statement, commit, COPY and call of the object store being a step."""
    engine = make_engine(settings.database_url)
    sa.event.listen(engine, "do_connect", _driver(fuse))
    objects: ObjectStore = FaultyObjects(S3Objects(settings.s3), fuse)
    return replace(make_parts(settings, engine), objects=objects)


def _driver(fuse: Fuse) -> Callable[..., None]:
    class Cursor(psycopg2.extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:
            text = query.decode() if isinstance(query, bytes) else str(query)
            if not text.startswith(_CONNECTING):
                fuse.step("sql " + " ".join(text.split()[:3]))
            super().execute(query, vars)

        def executemany(self, query: Any, vars_list: Any) -> None:
            fuse.step("sql " + " ".join(str(query).split()[:3]))
            super().executemany(query, vars_list)

        def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
            fuse.step("copy " + " ".join(str(sql).split()[:2]))
            super().copy_expert(sql, Read(file, fuse, "copy half way"), size)

    class Connection(psycopg2.extensions.connection):
        def commit(self) -> None:
            begun = self.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS
            if begun:
                fuse.step("commit")
            super().commit()
            if begun:
                fuse.step("committed")

    def connect(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        parameters.update(connection_factory=Connection, cursor_factory=Cursor)

    return connect


class Read:
    """A file in which every second read is a step: the process ends with half of it handed over."""

    def __init__(self, file: Any, fuse: Fuse, name: str) -> None:
        self._file = file
        self._fuse = fuse
        self._name = name
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads == 2:
            self._fuse.step(self._name)
        block: bytes = self._file.read(size)
        return block


class FaultyObjects:
    """Implements `service.usecases.object_ports.ObjectStore`."""

    def __init__(self, objects: S3Objects, fuse: Fuse) -> None:
        self._objects = objects
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        place = key.partition("/")[0]
        self._fuse.step(f"put {place}")
        done = self._objects.put(key, Read(data, self._fuse, f"put {place} half way"), size)  # type: ignore[arg-type]
        self._fuse.step(f"put {place} done")
        return done

    @contextmanager
    def open(self, key: str, offset: int = 0, length: int | None = None, etag: str = "") -> Iterator[BinaryIO]:
        self._fuse.step("open")
        with self._objects.open(key, offset, length, etag) as body:
            yield Read(body, self._fuse, "open half way")  # type: ignore[misc]

    def copy(self, source: str, target: str) -> ObjectInfo:
        self._fuse.step("copy object")
        done = self._objects.copy(source, target)
        self._fuse.step("copy object done")
        return done

    def delete(self, keys: Iterable[str]) -> None:
        self._fuse.step("delete")
        self._objects.delete(keys)
        self._fuse.step("delete done")


def watch_jobs(app: procrastinate.App, fuse: Fuse) -> None:
    """Taking a job and ending it are steps, too."""
    for name in ("execute_query_async", "execute_query_one_async"):
        setattr(app.connector, name, _stepping(getattr(app.connector, name), fuse))


def _stepping(execute: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def stepping(query: str, **arguments: Any) -> Any:
        job = _JOB.search(query)
        if job:
            fuse.step(f"job {job[1]}")
        done = await execute(query, **arguments)
        if job:
            fuse.step(f"job {job[1]} done")
        return done

    return stepping
