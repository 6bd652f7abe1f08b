"""Rows of uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import Conflict, NotFound
from service.domain.refusals import CHANGED_AT_ONCE
from service.domain.uploading import Upload, UploadState
from service.stores import tables as t
from service.stores.same_id import same_id


class PostgresUploads:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, new: Upload) -> Upload:
        for _ in range(2):
            row = self._connection.execute(
                insert(t.uploads).values(**asdict(new)).on_conflict_do_nothing().returning(t.uploads)
            ).one_or_none()
            # What is in the way may end at the same time: then there is room.
            row = row or self._connection.execute(sa.select(t.uploads).where(*_same(new))).one_or_none()
            if row is not None:
                return _upload(row)
        raise Conflict(CHANGED_AT_ONCE)

    def get(self, workspace: str, upload_id: str) -> Upload:
        row = self._connection.execute(
            sa.select(t.uploads).where(
                same_id(t.uploads.c.id, upload_id),
                t.uploads.c.workspace == workspace,
                t.uploads.c.state != UploadState.ENDING,
            )
        ).one_or_none()
        if row is None:
            raise NotFound("upload", upload_id)
        return _upload(row)

    def count_open(self, workspace: str) -> int:
        mine = sa.select(sa.func.count()).where(t.uploads.c.workspace == workspace, _OPEN)
        return self._connection.scalar(mine) or 0

    def complete(self, upload_id: str) -> bool:
        return self._leave_open(upload_id, UploadState.COMPLETED)

    def end(self, upload_id: str) -> bool:
        return self._leave_open(upload_id, UploadState.ENDING)

    def _leave_open(self, upload_id: str, state: UploadState) -> bool:
        done = self._connection.execute(
            sa.update(t.uploads).where(same_id(t.uploads.c.id, upload_id), _OPEN).values(state=state)
        )
        return done.rowcount == 1

    def unfinished(self, before: datetime) -> Sequence[Upload]:
        rows = self._connection.execute(
            sa.select(t.uploads)
            .where(t.uploads.c.state != UploadState.COMPLETED)
            .where((t.uploads.c.state == UploadState.ENDING) | (t.uploads.c.expires_at < before))
            .order_by(t.uploads.c.expires_at)
        )
        return [_upload(row) for row in rows]

    def delete(self, upload_id: str) -> None:
        self._connection.execute(
            sa.delete(t.uploads).where(same_id(t.uploads.c.id, upload_id), t.uploads.c.state == UploadState.ENDING)
        )


_OPEN = t.uploads.c.state == UploadState.OPEN


def _same(new: Upload) -> tuple[sa.ColumnElement[bool], ...]:
    column = t.uploads.c
    return column.workspace == new.workspace, column.size == new.size, column.sha256 == new.sha256, _OPEN


def _upload(row: sa.Row[Any]) -> Upload:
    return Upload(**{**row._mapping, "state": UploadState(row.state)})
