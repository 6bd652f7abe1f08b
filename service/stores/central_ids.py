"""Ids here for ids there."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from service.domain.errors import Conflict
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.postgres import translated

TRACE_ID = re.compile("[0-9A-Za-z_-]{1,50}")
_NAMESPACE = uuid.UUID("6f3f2f0e-7a0c-5e5b-9a55-2a4b2f0d9c11")

CANDIDATES = 100


def _query(central: sa.Column[str], original: sa.Column[str], taken: sa.ColumnClause[str]) -> sa.Select[Any]:
    """What the id is mapped to, and whether MLflow has it, in one round trip."""
    mine = original.table.c.workspace == sa.bindparam("workspace")
    wanted = sa.bindparam("original", type_=sa.Text)
    return sa.select(
        sa.select(central).where(mine, original == wanted).scalar_subquery().label("mapped"),
        sa.exists().where(taken == wanted).label("taken"),
    )


_RUN = _query(t.runs.c.run_id, t.runs.c.original_run_id, m.runs.c.run_uuid)
_LOGGED_MODEL = _query(t.logged_models.c.model_id, t.logged_models.c.original_model_id, m.logged_models.c.model_id)
_TRACE = _query(t.traces.c.trace_id, t.traces.c.original_trace_id, m.trace_info.c.request_id)
_DATASET = _query(
    t.evaluation_datasets.c.dataset_id,
    t.evaluation_datasets.c.original_dataset_id,
    m.evaluation_datasets.c.dataset_id,
)


class PostgresCentralIds:
    """Implements `service.usecases.tracking_ports.CentralIds` for one workspace; each id is looked up once.

    An id that is taken by another workspace, or by a run logged here, becomes one derived from the workspace
    and the original, so that every attempt at the same import derives the same; who takes that one beforehand,
    since it can be foretold, only moves this workspace on to the next.

    Args:
        connection: in autocommit, so that no transaction stays open between two look-ups.
    """

    def __init__(self, connection: sa.Connection, workspace: str) -> None:
        self._connection = connection
        self._workspace = workspace
        self._runs: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._traces: dict[str, str] = {}
        self._datasets: dict[str, str] = {}

    def run(self, original: str) -> str:
        if original not in self._runs:
            self._runs[original] = self._central(_RUN, original, "")
        return self._runs[original]

    def logged_model(self, original: str) -> str:
        if original not in self._models:
            self._models[original] = self._central(_LOGGED_MODEL, original, "m-")
        return self._models[original]

    def trace(self, original: str) -> str:
        """Ids that MLflow's tables or routes do not take, as those of Databricks' own traces, get another one, too."""
        if original not in self._traces:
            fits = TRACE_ID.fullmatch(original) is not None
            self._traces[original] = self._central(_TRACE, original, "tr-", fits=fits)
        return self._traces[original]

    def evaluation_dataset(self, original: str) -> str:
        if original not in self._datasets:
            self._datasets[original] = self._central(_DATASET, original, "d-")
        return self._datasets[original]

    def _central(self, query: sa.Select[Any], original: str, prefix: str, *, fits: bool = True) -> str:
        """`fits` is false for an original that cannot be the id here."""
        for candidate in self._candidates(original, prefix):
            with translated():
                row = self._connection.execute(query, {"workspace": self._workspace, "original": candidate}).one()
            if candidate == original and row.mapped is not None:
                return str(row.mapped)
            if not row.taken and (fits or candidate != original):
                return candidate
        raise Conflict(f"No id is free for {original!r}, which others here have.", name=original)

    def _candidates(self, original: str, prefix: str) -> Iterator[str]:
        yield original
        for number in range(CANDIDATES):
            yield prefix + derived(self._workspace, original + (f"\n{number}" if number else ""))


def derived(workspace: str, original: str) -> str:
    """32 hexadecimal digits that stand for `original` of that workspace."""
    return uuid.uuid5(_NAMESPACE, f"{workspace}\n{original}").hex
