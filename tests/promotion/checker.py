"""Proves from what is written that a stage never had two answers, and that nothing that was told was lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from service.domain.audit import GENESIS, AuditQuery, AuditRow
from service.domain.environment import Place
from service.domain.history import Transition, told
from service.domain.promotion import Promotion, PromotionState
from service.usecases.ports import RegistryStore

PAGE = 500


class Won(NamedTuple):
    """What a client was told."""

    revision: int
    version: int
    promotion_id: str


def check(store: RegistryStore, place: Place, won: Iterable[Won]) -> Sequence[Transition]:
    """The place's changes, the oldest first, when they agree with one another, the audit trail and what was told."""
    changes = _changes(store, place)
    assert [change.revision for change in changes] == list(range(1, len(changes) + 1))
    for earlier, later in pairwise(changes):
        assert (later.previous_version, later.previous_digest) == (earlier.version, earlier.digest)
        assert earlier.at <= later.at
    with store.transaction() as tx:
        current, version = tx.stages.current(*place)
    assert (current.revision, current.version, current.digest) == (len(changes), changes[-1].version, version.digest)
    rows = {Won(change.revision, change.version or 0, change.promotion_id or "") for change in changes}
    answers = list(won)
    assert len({answer.revision for answer in answers}) == len(answers), "two were told that they won"
    assert set(answers) <= rows, "what was told is not there"
    promotions = _promotions(store, place.environment)
    assert {Won(each.revision or 0, each.version, each.id) for each in promotions} == rows
    assert len(promotions) == len(changes)
    audited = [row for row in _chain(store) if row.action == "stage.changed"]
    assert [row.before for row in audited] == [told(None), *map(told, changes[:-1])]
    assert [{name: (row.after or {})[name] for name in told(None)} for row in audited] == list(map(told, changes))
    assert [(row.after or {})["promotion"] for row in audited] == [change.promotion_id for change in changes]
    return changes


def _changes(store: RegistryStore, place: Place) -> Sequence[Transition]:
    found: list[Transition] = []
    with store.transaction() as tx:
        while page := tx.stages.history(place, PAGE, found[-1].revision if found else None):
            found += page
    return found[::-1]


def _promotions(store: RegistryStore, environment: str) -> Sequence[Promotion]:
    found: list[Promotion] = []
    now = datetime.now(UTC)
    with store.transaction() as tx:
        while page := tx.promotions.list(
            environment, PromotionState.APPLIED, now, PAGE, found[-1].id if found else None
        ):
            found += page
    return found


def _chain(store: RegistryStore) -> Sequence[AuditRow]:
    found: list[AuditRow] = []
    last = (0, GENESIS)
    with store.transaction() as tx:
        while page := tx.audit.chain(AuditQuery(), PAGE, last[0]):
            for row in page:
                assert (row.seq - 1, row.previous) == last
                assert row.hash == row.computed_hash()
                last = (row.seq, row.hash)
            found += page
    return found
