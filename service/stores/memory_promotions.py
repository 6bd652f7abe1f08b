"""Promotions, their approvals, and answers that are given again, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.environment import Place
from service.domain.errors import KeyReused, NotFound
from service.domain.promotion import Approval, Promotion, PromotionState
from service.domain.refusals import promotion_decided, promotion_pending
from service.stores.memory_state import HeldAnswer, State
from service.usecases.stage_ports import Answer


class MemoryPromotions:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, promotion: Promotion) -> None:
        if promotion.state is PromotionState.PENDING and self.pending(promotion.place) is not None:
            raise promotion_pending()
        self._state.promotions[promotion.id] = promotion

    def get(self, promotion_id: str) -> Promotion:
        if promotion_id not in self._state.promotions:
            raise NotFound("promotion", promotion_id)
        return self._state.promotions[promotion_id]

    def _pending(self) -> Iterator[Promotion]:
        found = [each for each in self._state.promotions.values() if each.state is PromotionState.PENDING]
        yield from sorted(found, key=lambda each: each.id)

    def pending(self, place: Place) -> Promotion | None:
        return next((each for each in self._pending() if each.place == place), None)

    def pending_of(self, model: str, version: int) -> Sequence[Promotion]:
        return [each for each in self._pending() if (each.model, each.version) == (model, version)]

    def list(
        self, environment: str, state: PromotionState | None, now: datetime, limit: int, before: str | None
    ) -> Sequence[Promotion]:
        def order(promotion: Promotion) -> tuple[datetime, str]:
            return promotion.requested_at, promotion.id

        found = [each.seen(now) for each in self._state.promotions.values() if each.environment == environment]
        found = [each for each in found if state is None or each.state is state]
        if before is not None:
            last = self._state.promotions.get(before)
            found = [each for each in found if last is not None and order(each) < order(last)]
        return sorted(found, key=order, reverse=True)[:limit]

    def decide(self, promotion: Promotion) -> None:
        known = self._state.promotions[promotion.id]
        if known.state is not PromotionState.PENDING:
            raise promotion_decided()
        self._state.promotions[promotion.id] = replace(
            known,
            state=promotion.state,
            needed=promotion.needed,
            decided_at=promotion.decided_at,
            revision=promotion.revision,
            problem=promotion.problem,
        )

    def approve(self, promotion_id: str, approval: Approval) -> None:
        known = self._state.promotions[promotion_id]
        self._state.promotions[promotion_id] = replace(known, approvals=(*known.approvals, approval))

    def overdue(self, now: datetime) -> Sequence[Promotion]:
        return [each for each in self._pending() if each.expires_at is not None and each.expires_at <= now]


class MemoryAnswers:
    def __init__(self, state: State) -> None:
        self._state = state

    def claim(self, token_id: str, key: str, fingerprint: str, at: datetime, since: datetime) -> Answer | None:
        held = self._state.answers.get((token_id, key))
        if held is None or held.at < since:
            self._state.answers[token_id, key] = HeldAnswer(fingerprint, at, None)
            return None
        if held.fingerprint != fingerprint:
            raise KeyReused(
                "This Idempotency-Key was already used for another request; use a new key.", header="Idempotency-Key"
            )
        return held.answer

    def keep(self, token_id: str, key: str, answer: Answer) -> None:
        held = self._state.answers[token_id, key]
        self._state.answers[token_id, key] = replace(held, answer=answer)

    def purge(self, before: datetime) -> int:
        old = [name for name, held in self._state.answers.items() if held.at < before]
        for name in old:
            del self._state.answers[name]
        return len(old)
