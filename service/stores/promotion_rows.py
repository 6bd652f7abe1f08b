"""Rows of promotions and their approvals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.history import ChangeKind
from service.domain.promotion import Approval, Decision, Promotion, PromotionState
from service.domain.refusals import promotion_decided, promotion_pending
from service.stores.plain import plain
from service.stores.promotion_tables import approvals, promotions
from service.stores.same_id import same_id

_c = promotions.c
_PENDING = _c.state == PromotionState.PENDING


class PostgresPromotions:
    """Implements `service.usecases.stage_ports.Promotions`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, promotion: Promotion) -> None:
        values = {**vars(promotion), "problem": _json(promotion)}
        del values["approvals"]
        made = self._connection.scalar(
            insert(promotions).values(**values).on_conflict_do_nothing().returning(promotions.c.id)
        )
        if made is None:
            raise promotion_pending()

    def get(self, promotion_id: str) -> Promotion:
        found = self._found(sa.select(promotions).where(same_id(_c.id, promotion_id)))
        if not found:
            raise NotFound("promotion", promotion_id)
        return found[0]

    def pending(self, place: Place) -> Promotion | None:
        here = (_c.environment == place.environment, _c.model == place.model, _c.stage == place.stage)
        found = self._found(sa.select(promotions).where(*here, _PENDING))
        return found[0] if found else None

    def pending_of(self, model: str, version: int) -> Sequence[Promotion]:
        query = sa.select(promotions).where(_c.model == model, _c.version == version, _PENDING)
        return self._found(query.order_by(_c.id))

    def list(
        self, environment: str, state: PromotionState | None, now: datetime, limit: int, before: str | None
    ) -> Sequence[Promotion]:
        query = sa.select(promotions).where(_c.environment == environment)
        over = _PENDING & (_c.expires_at <= now)
        match state:
            case None:
                pass
            case PromotionState.PENDING:
                query = query.where(_PENDING, ~over)
            case PromotionState.EXPIRED:
                query = query.where((_c.state == state) | over)
            case _:
                query = query.where(_c.state == state)
        if before is not None:
            last = sa.select(_c.requested_at, _c.id).where(same_id(_c.id, before)).subquery()
            query = query.where(sa.tuple_(_c.requested_at, _c.id) < sa.select(last).scalar_subquery())
        found = self._found(query.order_by(_c.requested_at.desc(), _c.id.desc()).limit(limit))
        return [promotion.seen(now) for promotion in found]

    def decide(self, promotion: Promotion) -> None:
        written = self._connection.execute(
            sa.update(promotions)
            .where(_c.id == promotion.id, _PENDING)
            .values(
                state=promotion.state,
                needed=promotion.needed,
                decided_at=promotion.decided_at,
                revision=promotion.revision,
                problem=_json(promotion),
            )
        )
        if not written.rowcount:
            raise promotion_decided()

    def approve(self, promotion_id: str, approval: Approval) -> None:
        self._connection.execute(sa.insert(approvals).values(promotion_id=promotion_id, **asdict(approval)))

    def overdue(self, now: datetime) -> Sequence[Promotion]:
        return self._found(sa.select(promotions).where(_PENDING, _c.expires_at <= now).order_by(_c.id))

    def _found(self, query: sa.Select[Any]) -> Sequence[Promotion]:
        rows = self._connection.execute(query).all()
        decisions: dict[str, list[Approval]] = {row.id: [] for row in rows}
        if rows:
            query = sa.select(approvals).where(approvals.c.promotion_id.in_(decisions)).order_by(approvals.c.at)
            for row in self._connection.execute(query):
                fields = {**row._mapping, "decision": Decision(row.decision)}
                decisions[fields.pop("promotion_id")].append(Approval(**fields))
        return [_promotion(row, decisions[row.id]) for row in rows]


def _promotion(row: sa.Row[Any], decisions: list[Approval]) -> Promotion:
    fields = {**row._mapping, "kind": ChangeKind(row.kind), "state": PromotionState(row.state)}
    return Promotion(**fields, approvals=tuple(decisions))


def _json(promotion: Promotion) -> Any:
    return sa.null() if promotion.problem is None else plain(promotion.problem)
