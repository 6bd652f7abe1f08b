"""Rows of policies: each change is one, none is ever changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.errors import PreconditionFailed
from service.domain.policy import PolicyVersion, StagePolicies
from service.stores import tables as t
from service.stores.model_rows import PostgresModels
from service.stores.place_rows import PostgresEnvironments


class PostgresPolicies:
    def __init__(self, connection: sa.Connection, environments: PostgresEnvironments, models: PostgresModels) -> None:
        self._connection = connection
        self._environments = environments
        self._models = models

    def put(
        self,
        environment: str,
        model: str,
        policies: StagePolicies | None,
        by: str,
        at: datetime,
        expected: int | None = None,
    ) -> PolicyVersion:
        self._require(environment, model)
        # One at a time, so that `expected` is still true when the row is written.
        self._connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"policy\n{environment}\n{model}"},
        )
        rows = self._rows(environment, model, 1, None)
        current = PolicyVersion.none(environment, model) if not rows or rows[0].removed else rows[0]
        if expected not in (None, current.number):
            raise PreconditionFailed(
                f"The policy is at version {current.number}, not {expected}.", current=current.number
            )
        written = PolicyVersion(
            environment,
            model,
            rows[0].number + 1 if rows else 1,
            policies or StagePolicies(),
            by,
            at,
            removed=policies is None,
        )
        self._connection.execute(
            sa.insert(t.policies).values(
                environment=environment,
                model=model,
                number=written.number,
                document=sa.null() if policies is None else dict(policies.document),
                by=by,
                at=at,
            )
        )
        return written

    def own(self, environment: str, model: str) -> PolicyVersion:
        self._require(environment, model)
        rows = self._rows(environment, model, 1, None)
        return PolicyVersion.none(environment, model) if not rows or rows[0].removed else rows[0]

    def current(self, environment: str, model: str) -> PolicyVersion:
        own = self.own(environment, model)
        return own if own.number else self.own(environment, "")

    def history(self, environment: str, model: str, limit: int, before: int | None) -> Sequence[PolicyVersion]:
        self._require(environment, model)
        return self._rows(environment, model, limit, before)

    def _require(self, environment: str, model: str) -> None:
        self._environments.get(environment)
        if model:
            self._models.get(model)

    def _rows(self, environment: str, model: str, limit: int, before: int | None) -> Sequence[PolicyVersion]:
        p = t.policies.c
        query = sa.select(t.policies).where(p.environment == environment, p.model == model)
        if before is not None:
            query = query.where(p.number < before)
        return [_version(row) for row in self._connection.execute(query.order_by(p.number.desc()).limit(limit))]


def _version(row: sa.Row[Any]) -> PolicyVersion:
    return PolicyVersion(
        environment=row.environment,
        model=row.model,
        number=row.number,
        policies=StagePolicies.of(row.document or {}),
        by=row.by,
        at=row.at,
        removed=row.document is None,
    )
