"""Deleted and renamed models and versions: ours keep a tombstone, MLflow's are as MLflow itself leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.refusals import new_name_taken
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.milliseconds import milliseconds
from service.stores.registration_tables import registrations as r
from service.stores.view_rows import DELETED

_CHILDREN = (
    m.model_version_tags,
    m.registered_model_aliases,
    m.registered_model_tags,
    m.model_versions,
    m.registered_models,
)


class DeletionWriter:
    """On one connection; whoever asks has looked whether the model or version is there."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def version(self, model: str, version: int, by: str, at: datetime) -> None:
        v, a, g = t.versions.c, m.registered_model_aliases.c, m.model_versions.c
        self._bury(t.versions, (v.model == model) & (v.version == version), by, at)
        self._end(r.c.version == version, model)
        here = (g.workspace == m.WORKSPACE) & (g.name == model) & (g.version == version)
        self._connection.execute(
            sa.update(m.model_versions)
            .where(here)
            .values(
                current_stage=DELETED,
                last_updated_time=milliseconds(at),
                description=None,
                user_id=None,
                source="REDACTED-SOURCE-PATH",
                run_id="REDACTED-RUN-ID",
                run_link="REDACTED-RUN-LINK",
                status_message=None,
            )
        )
        self._connection.execute(
            sa.delete(m.registered_model_aliases).where(
                a.workspace == m.WORKSPACE, a.name == model, a.version == version
            )
        )

    def model(self, name: str, by: str, at: datetime) -> None:
        self._bury(t.versions, t.versions.c.model == name, by, at)
        self._bury(t.models, t.models.c.name == name, by, at)
        self._end(sa.true(), name)
        for table in _CHILDREN:
            self._connection.execute(sa.delete(table).where(table.c.workspace == m.WORKSPACE, table.c.name == name))

    def rename(self, name: str, new: str, at: datetime) -> None:
        """Rows that refer to the two tables follow by their foreign keys."""
        used = sa.union_all(
            sa.select(t.models.c.name).where(t.models.c.name == new),
            sa.select(t.prompts.c.name).where(t.prompts.c.name == new),
            sa.select(m.registered_models.c.name).where(
                m.registered_models.c.workspace == m.WORKSPACE, m.registered_models.c.name == new
            ),
            sa.select(r.c.model).where(r.c.model == new),
        )
        if self._connection.execute(used).first() is not None:
            raise new_name_taken(new)
        self._connection.execute(sa.update(t.models).where(t.models.c.name == name).values(name=new))
        self._connection.execute(sa.update(r).where(r.c.model == name).values(model=new))
        g = m.registered_models
        self._connection.execute(
            sa.update(g)
            .where(g.c.workspace == m.WORKSPACE, g.c.name == name)
            .values(name=new, last_updated_time=milliseconds(at))
        )

    def numbers(self, model: str) -> Sequence[int]:
        g = m.model_versions.c
        here = (g.workspace == m.WORKSPACE) & (g.name == model) & (g.current_stage != DELETED)
        return list(self._connection.scalars(sa.select(g.version).where(here).order_by(g.version)))

    def _bury(self, table: sa.Table, here: sa.ColumnElement[bool], by: str, at: datetime) -> None:
        values: dict[str, Any] = {"deleted_by": by, "deleted_at": at}
        self._connection.execute(sa.update(table).where(here, table.c.deleted_at.is_(None)).values(**values))

    def _end(self, here: sa.ColumnElement[bool], model: str) -> None:
        """What is on its way ends here."""
        self._connection.execute(
            sa.update(r)
            .where(r.c.model == model, here, r.c.state != "deleted")
            .values(state="deleted", ended_at=sa.func.coalesce(r.c.ended_at, sa.func.now()))
        )
