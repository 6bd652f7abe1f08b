"""Rows of imports; a new one is queued in the transaction that adds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from service.domain.errors import ConcurrentChange, Conflict, NotFound
from service.domain.importing import Import, ImportOptions, ImportSource, ImportState
from service.domain.refusals import CHANGED_AT_ONCE, idempotency_key_used, key_is_elsewhere, not_to_be_retried
from service.stores import tables as t
from service.stores.plain import plain
from service.stores.queue import JobQueue, session_name
from service.stores.same_id import same_id

_OPEN = (ImportState.RECEIVED, ImportState.RUNNING)
_LIVE = (*_OPEN, ImportState.DONE)
_LATER = t.imports.alias()
_END_EARLIER = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name AND pid <> pg_backend_pid()"
)
"""An earlier attempt that stands still in the middle of its transaction would keep its locks."""
_SAME = "same"


class PostgresImports:
    def __init__(self, connection: sa.Connection, queue: JobQueue) -> None:
        self._connection = connection
        self._queue = queue

    def add(self, new: Import, idempotency_key: str | None) -> Import:
        for _ in range(2):
            holder = self._holder(new, idempotency_key)
            if holder is not None and not new.may_be(holder):
                raise idempotency_key_used(idempotency_key or "")
            live = self._live((t.imports.c.key == new.key) | (t.imports.c.received_key == new.key))
            if live is not None:
                return live
            # Of two that share a key only the first has it in its row.
            shared = replace(new.source, shared_key=idempotency_key or "") if holder else new.source
            if self._insert(replace(new, source=shared), None if holder else idempotency_key):
                self._queue.put(self._connection, new.id)
                return replace(new, source=shared)
            # What is in the way was added at the same time: look again.
        raise Conflict(CHANGED_AT_ONCE)

    def _insert(self, new: Import, idempotency_key: str | None) -> bool:
        inserted = self._connection.scalar(
            insert(t.imports)
            .values(
                id=new.id,
                workspace=new.workspace,
                key=new.key,
                received_key=new.key,
                idempotency_key=idempotency_key,
                state=new.state,
                options=asdict(new.options),
                source={name: value for name, value in asdict(new.source).items() if value},
                archive_digest=new.archive_digest,
                archive_size=new.archive_size,
                created_by=new.created_by,
                created_by_id=new.created_by_id,
                request_id=new.request_id,
                created_at=new.created_at,
            )
            .on_conflict_do_nothing()
            .returning(t.imports.c.id)
        )
        return inserted is not None

    def _holder(self, new: Import, idempotency_key: str | None) -> Import | None:
        """The live import of another archive, as far as is known, that has the idempotency key."""
        i = t.imports.c
        other = (i.workspace == new.workspace) & (i.idempotency_key == idempotency_key)
        return self._live(other & (i.key != new.key) & (i.received_key != new.key)) if idempotency_key else None

    def _live(self, condition: sa.ColumnElement[bool]) -> Import | None:
        oldest = sa.select(t.imports).where(condition, t.imports.c.state.in_(_LIVE)).order_by(t.imports.c.created_at)
        row = self._connection.execute(oldest).first()
        return None if row is None else _import(row)

    def get(self, import_id: str) -> Import:
        row = self._connection.execute(sa.select(t.imports).where(same_id(t.imports.c.id, import_id))).one_or_none()
        if row is None:
            raise NotFound("import", import_id)
        return _import(row) if row.same_as is None else self.get(row.same_as)

    def list(self, workspace: str | None, limit: int, before: str | None) -> Sequence[Import]:
        query = sa.select(t.imports).where(t.imports.c.state != _SAME)
        query = query.order_by(t.imports.c.created_at.desc(), t.imports.c.id.desc()).limit(limit)
        if workspace is not None:
            query = query.where(t.imports.c.workspace == workspace)
        if before is not None:
            last = self.get(before)
            query = query.where(
                sa.tuple_(t.imports.c.created_at, t.imports.c.id)
                < sa.tuple_(last.created_at, sa.cast(last.id, t.imports.c.id.type))
            )
        return [_import(row) for row in self._connection.execute(query)]

    def start(self, import_id: str, at: datetime) -> Import | None:
        self._connection.execute(_END_EARLIER, {"name": session_name(import_id)})
        row = self._connection.execute(
            sa.update(t.imports)
            .where(_open(import_id, None))
            .values(state=ImportState.RUNNING, started_at=at, attempts=t.imports.c.attempts + 1)
            .returning(t.imports)
        ).one_or_none()
        return _import(row) if row else None

    def identify(self, import_id: str, attempt: int, archive_digest: str, key: str) -> Import:
        self._check_shared_key(import_id, key)
        known = sa.update(t.imports).where(_open(import_id, attempt))
        named = known.values(archive_digest=archive_digest, key=key)
        for _ in range(2):
            try:
                with self._connection.begin_nested():
                    self._connection.execute(named)
                return self.get(import_id)
            except IntegrityError:  # another live import has the key
                live = self._live(t.imports.c.key == key)
            if live is not None:
                self._connection.execute(known.values(state=_SAME, same_as=live.id))
                return self.get(import_id)
            # What was in the way has just been refused: there is room now.
        raise ConcurrentChange(CHANGED_AT_ONCE)

    def _check_shared_key(self, import_id: str, key: str) -> None:
        import_ = self.get(import_id)
        holder = self._holder(replace(import_, key=key), import_.source.shared_key)
        if holder is not None:
            raise key_is_elsewhere(holder, import_.source.shared_key)

    def progress(self, import_id: str, attempt: int, progress: Mapping[str, int]) -> bool:
        done = self._connection.execute(
            sa.update(t.imports).where(_open(import_id, attempt)).values(progress=dict(progress))
        )
        return done.rowcount == 1

    def finish(
        self,
        import_id: str,
        state: ImportState,
        at: datetime,
        report: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> bool:
        done = self._connection.execute(
            sa.update(t.imports)
            .where(_in(state.ends, import_id, attempt))
            .values(
                state=state,
                finished_at=at,
                report=sa.null() if report is None else plain(report),
                problem=sa.null() if problem is None else plain(problem),
            )
        )
        return done.rowcount == 1

    def retry(self, import_id: str) -> Import:
        known = self.get(import_id)
        again = self._connection.execute(
            sa.update(t.imports)
            .where(
                t.imports.c.id == known.id,
                t.imports.c.state == ImportState.FAILED,
                ~sa.exists().where(_LATER.c.key == known.key, _LATER.c.state.in_(_LIVE)),
            )
            .values(state=ImportState.RECEIVED, finished_at=None, problem=sa.null(), progress={})
            .returning(t.imports)
        ).one_or_none()
        if again is None:
            raise not_to_be_retried(known.state)
        self._queue.put(self._connection, known.id)
        return _import(again)

    def requeue(self) -> Sequence[str]:
        lost = self._connection.scalars(
            sa.select(t.imports.c.id)
            .where(t.imports.c.state.in_(_OPEN), ~self._queue.holds(t.imports.c.id))
            .order_by(t.imports.c.created_at)
            .with_for_update(skip_locked=True)
        ).all()
        for import_id in lost:
            self._queue.put(self._connection, import_id)
        return lost


def _open(import_id: str, attempt: int | None) -> sa.ColumnElement[bool]:
    return _in(_OPEN, import_id, attempt)


def _in(states: Sequence[ImportState], import_id: str, attempt: int | None) -> sa.ColumnElement[bool]:
    found = same_id(t.imports.c.id, import_id) & t.imports.c.state.in_(states)
    return found if attempt is None else found & (t.imports.c.attempts == attempt)


def _import(row: sa.Row[Any]) -> Import:
    return Import(
        id=row.id,
        workspace=row.workspace,
        key=row.key,
        state=ImportState(row.state),
        options=ImportOptions(**row.options),
        archive_digest=row.archive_digest,
        archive_size=row.archive_size,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
        progress=row.progress,
        report=row.report,
        problem=row.problem,
        source=ImportSource(**row.source),
        created_by_id=row.created_by_id,
        request_id=row.request_id,
    )
