"""Which of the bucket's folders rows refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa

from service.domain.importing import ARCHIVE_KEPT, ImportState
from service.domain.layout import (
    ARCHIVES,
    PENDING,
    VERSIONS,
    digest_of,
    folder_of,
    import_of,
    logged_model_of,
    run_of,
    trace_of,
    version_prefix,
)
from service.domain.uploading import UploadState
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.garbage_tables import HOLD, claimed, claims

_OPEN = (ImportState.RECEIVED, ImportState.RUNNING)
_OTHER = t.imports.alias()
_TAKEN_IN = sa.exists().where(_OTHER.c.key == t.imports.c.key, _OTHER.c.state == ImportState.DONE)
"""The same archive was sent once more: the import that failed is not tried again."""


class PostgresReferences:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def unused(self, folders: Sequence[str], now: datetime) -> Sequence[str]:
        ours = [folder for folder in folders if is_ours(folder)]
        used = self._archives(ours, now) | self._versions(ours)
        used |= self._runs(ours) | self._logged_models(ours) | self._traces(ours)
        used.update(self._found(claims.c.folder, claims.c.folder.in_(ours) & claimed(now)))
        return [folder for folder in ours if folder not in used]

    def _archives(self, folders: Iterable[str], now: datetime) -> set[str]:
        ids = [import_of(folder) for folder in folders if folder.startswith(ARCHIVES)]
        imports, uploads = (sa.cast(table.c.id, sa.Text) for table in (t.imports, t.uploads))
        # One statement: an upload that is completed becomes an import in one commit.
        read = sa.union(
            sa.select(imports).where(imports.in_(ids), t.imports.c.state.in_(_OPEN) | _failed_lately(now)),
            sa.select(uploads).where(uploads.in_(ids), t.uploads.c.state == UploadState.OPEN),
        )
        return {f"{ARCHIVES}{found}/" for found in self._connection.scalars(read)}

    def _runs(self, folders: Iterable[str]) -> set[str]:
        return self._located(run_of, folders, m.runs.c.run_uuid, m.runs.c.artifact_uri)

    def _logged_models(self, folders: Iterable[str]) -> set[str]:
        models = m.logged_models
        return self._located(logged_model_of, folders, models.c.model_id, models.c.artifact_location)

    def _traces(self, folders: Iterable[str]) -> set[str]:
        """By the id alone: the location is a tag, and any client may set those."""
        named = {folder: found for folder in folders if (found := trace_of(folder)) is not None}
        column = m.trace_info.c.request_id
        known = set(self._found(column, column.in_(set(named.values()))))
        return {folder for folder, trace_id in named.items() if trace_id in known}

    def _located(
        self,
        id_of: Callable[[str], str | None],
        folders: Iterable[str],
        column: sa.ColumnElement[str],
        uri: sa.ColumnElement[str],
    ) -> set[str]:
        ids = [found for folder in folders if (found := id_of(folder)) is not None]
        return {folder for found in self._found(uri, column.in_(ids)) if (folder := folder_of(found)) is not None}

    def _versions(self, folders: Iterable[str]) -> set[str]:
        digests = [digest_of(folder) for folder in folders if folder.startswith(VERSIONS)]
        return set(map(version_prefix, self._found(t.manifests.c.digest, t.manifests.c.digest.in_(digests))))

    def _found(self, column: sa.ColumnElement[str], condition: sa.ColumnElement[bool]) -> Iterable[str]:
        return self._connection.scalars(sa.select(column).where(condition))

    def hold(self) -> None:
        self._connection.execute(HOLD)


def _failed_lately(now: datetime) -> sa.ColumnElement[bool]:
    lately = t.imports.c.finished_at >= now - ARCHIVE_KEPT
    return (t.imports.c.state == ImportState.FAILED) & lately & ~_TAKEN_IN


def is_ours(folder: str) -> bool:
    """Whether only the registry decides what is below the folder, and a row tells of it."""
    fixed = folder.startswith((ARCHIVES, PENDING, VERSIONS))
    return fixed or any(of(folder) is not None for of in (run_of, logged_model_of, trace_of))
