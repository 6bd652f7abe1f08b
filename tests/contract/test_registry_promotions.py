"""Promotions, answers, and what is asked of stages and versions for them, of every registry."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.domain.environment import Freeze, Place
from service.domain.errors import Conflict, KeyReused, NotFound
from service.domain.history import ChangeKind, Stay
from service.domain.model import Withdrawal
from service.domain.promotion import Approval, Decision, Promotion, PromotionState
from service.usecases.stage_ports import Answer
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, environment, fill, manifest, token

PLACE = Place("prod", "iris", "Production")


@pytest.fixture(autouse=True)
def _versions(store: Registry) -> None:
    fill(store, "a", "b", "a")
    with store.transaction() as tx:
        tx.environments.put(environment("qa"))


def asked(number: int = 0, state: PromotionState = PromotionState.PENDING, **changed: Any) -> Promotion:
    values: dict[str, Any] = {
        "environment": "prod",
        "model": "iris",
        "stage": "Production",
        "version": 1,
        "digest": manifest("a").digest,
        "kind": ChangeKind.PROMOTION,
        "comment": "please",
        "requested_by": "ci",
        "requested_by_id": "id of ci",
        "requested_at": at(number),
        "stands_on": 3,
        "needed": 2,
        "expires_at": at(number + 60),
        "problem": {"slug": "x", "rules": [{"rule": "tags"}]},
        **changed,
    }
    return Promotion(str(uuid.uuid4()), state=state, **values)


def approval(minutes: int, name: str = "ann") -> Approval:
    return Approval(f"id of {name}", name, "sha256:0", Decision.APPROVED, "fine", at(minutes), at(minutes + 9))


def test_a_promotion_is_kept_with_its_approvals(store: Registry) -> None:
    one = asked(restores=7, over_freeze=True)
    with store.transaction() as tx:
        tx.promotions.add(one)
        for each in (approval(1), approval(2, "ben"), approval(3)):
            tx.promotions.approve(one.id, each)
    kept = replace(one, approvals=(approval(1), approval(2, "ben"), approval(3)))
    with store.transaction() as tx:
        assert tx.promotions.get(one.id) == kept
        assert tx.promotions.pending(PLACE) == kept
        assert list(tx.promotions.pending_of("iris", 1)) == [kept]
        assert tx.promotions.pending(Place("qa", "iris", "Production")) is None
        assert list(tx.promotions.pending_of("iris", 2)) == []
        for absent in ("absent", str(uuid.uuid4()), one.id.upper()):
            with pytest.raises(NotFound):
                tx.promotions.get(absent)


def test_one_is_pending_at_a_time(store: Registry) -> None:
    first, second = asked(), asked(1)
    with store.transaction() as tx:
        tx.promotions.add(first)
        with pytest.raises(Conflict):
            tx.promotions.add(second)
        tx.promotions.add(asked(stage="Staging"))
        tx.promotions.add(asked(state=PromotionState.APPLIED, revision=1))
        ended = replace(first, state=PromotionState.REFUSED, decided_at=at(5), problem={"slug": "y"}, needed=1)
        tx.promotions.decide(ended)
        with pytest.raises(Conflict):
            tx.promotions.decide(replace(ended, state=PromotionState.CANCELLED))
        tx.promotions.add(second)
    with store.transaction() as tx:
        assert tx.promotions.get(first.id) == ended
        assert tx.promotions.pending(PLACE) == second


def test_lists(store: Registry) -> None:
    states = [PromotionState.CANCELLED, PromotionState.PENDING, PromotionState.EXPIRED]
    rows = [asked(number, state) for number, state in enumerate(states)]
    other = asked(environment="qa")
    with store.transaction() as tx:
        for row in (*rows, other):
            tx.promotions.add(row)

    def listed(state: PromotionState | None = None, minutes: int = 5, limit: int = 9, before: str | None = None) -> Any:
        with store.transaction() as tx:
            return [each.id for each in tx.promotions.list("prod", state, at(minutes), limit, before)]

    ids = [row.id for row in rows]
    assert listed() == ids[::-1]
    assert listed(limit=2) == ids[:0:-1]
    assert listed(before=ids[1]) == ids[:1]
    assert listed(before="absent") == []
    assert listed(PromotionState.PENDING) == ids[1:2]
    assert listed(PromotionState.PENDING, 61) == []
    assert listed(PromotionState.EXPIRED, 61) == ids[:0:-1]
    assert listed(PromotionState.CANCELLED, 61) == ids[:1]
    with store.transaction() as tx:
        told = tx.promotions.list("prod", None, at(61), 2, None)
        assert [(each.state, each.decided_at) for each in told] == [("expired", None), ("expired", at(61))]
        assert [each.id for each in tx.promotions.overdue(at(61))] == sorted([ids[1], other.id])
        assert list(tx.promotions.overdue(at(59))) == []


def test_an_answer_is_given_again(store: Registry) -> None:
    answer = Answer(201, b"\x00\xff body", {"Location": "/v1/x"})
    day = timedelta(days=1)
    with store.transaction() as tx:
        assert tx.answers.claim("token", "key", "print", at(0), at(0) - day) is None
        tx.answers.keep("token", "key", answer)
    with store.transaction() as tx:
        assert tx.answers.claim("token", "key", "print", at(5), at(5) - day) == answer
        with pytest.raises(KeyReused):
            tx.answers.claim("token", "key", "other", at(5), at(5) - day)
        assert tx.answers.claim("other", "key", "other", at(5), at(5) - day) is None
        tx.answers.keep("other", "key", answer)
    with store.transaction() as tx:
        assert tx.answers.claim("token", "key", "other", at(1) + day, at(1)) is None, "it is too old"
        tx.answers.keep("token", "key", replace(answer, status=409))
        assert tx.answers.purge(at(6)) == 1
        assert tx.answers.claim("token", "key", "other", at(1) + day, at(1)) == replace(answer, status=409)


def test_a_claim_that_is_rolled_back_is_none(store: Registry) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            tx.answers.claim("token", "key", "print", at(0), at(-9))
            raise Conflict("no")

    with pytest.raises(Conflict):
        fail()
    with store.transaction() as tx:
        assert tx.answers.claim("token", "key", "other", at(0), at(-9)) is None


def test_where_versions_were(store: Registry) -> None:
    with store.transaction() as tx:
        for version, minutes in ((1, 0), (2, 10), (1, 20)):
            assign(tx, assignment(version, minutes=minutes))
        assign(tx, assignment(1, environment="qa", minutes=5))
        assign(tx, assignment(1, "Staging", environment="qa", minutes=6))
    first = Stay("prod", "Production", 1, at(0), "ci", ChangeKind.PROMOTION, at(10), ChangeKind.PROMOTION)
    now = replace(first, revision=3, since=at(20), until=None, ended_by=None)
    with store.transaction() as tx:
        assert list(tx.stages.stays("iris", 1)) == [
            first,
            now,
            replace(now, environment="qa", revision=1, since=at(5)),
            replace(now, environment="qa", stage="Staging", revision=1, since=at(6)),
        ]
        assert list(tx.stages.stays("iris", 3)) == list(tx.stages.stays("absent", 1)) == []
        qa = [Place("qa", "iris", "Production"), Place("qa", "iris", "Staging")]
        assert list(tx.stages.holding("iris", 1)) == [PLACE, *qa]
        assert list(tx.stages.holding("iris", 2)) == []


def test_what_can_be_restored(store: Registry) -> None:
    with store.transaction() as tx:
        for version in (1, 2, 3):
            assign(tx, assignment(version, minutes=version))
        assert tx.stages.restorable(PLACE, 3, 3) == tx.stages.change_at(PLACE, 2)
        assert tx.stages.restorable(PLACE, 9, None) == tx.stages.change_at(PLACE, 3)
        assert tx.stages.restorable(PLACE, 3, 2) == tx.stages.change_at(PLACE, 1)
        assert tx.stages.restorable(PLACE, 1, None) is None
        marked = tx.models.withdraw("iris", 2, Withdrawal("bad", "ann", at(9)))
        assert marked.withdrawn == Withdrawal("bad", "ann", at(9))
        assert tx.models.version("iris", 2) == marked
        assert tx.stages.restorable(PLACE, 3, 3) == tx.stages.change_at(PLACE, 1)
        assert tx.models.withdraw("iris", 2, None).withdrawn is None
        assert tx.stages.restorable(PLACE, 3, 3) == tx.stages.change_at(PLACE, 2)
        with pytest.raises(NotFound):
            tx.stages.change_at(PLACE, 4)
        with pytest.raises(NotFound):
            tx.models.withdraw("iris", 9, None)


def test_versions_of_the_same_bytes(store: Registry) -> None:
    with store.transaction() as tx:
        assert [each.version for each in tx.models.of_digest("iris", manifest("a").digest)] == [3, 1]
        assert list(tx.models.of_digest("iris", "sha256:0")) == []
        with pytest.raises(NotFound):
            tx.models.of_digest("absent", manifest("a").digest)


def test_a_freeze_stays_when_the_environment_changes(store: Registry) -> None:
    freeze = Freeze("sale", "ann", at(1), at(2))
    with store.transaction() as tx:
        tx.environments.freeze("prod", freeze)
        tx.environments.put(environment("prod", ["Production"]))
    with store.transaction() as tx:
        assert tx.environments.get("prod").freeze == freeze
        assert [each.freeze for each in tx.environments.list()] == [freeze, None]
        tx.environments.freeze("prod", replace(freeze, until=None))
        assert tx.environments.get("prod").freeze == replace(freeze, until=None)
        tx.environments.freeze("prod", None)
        assert tx.environments.get("prod").freeze is None
        with pytest.raises(NotFound):
            tx.environments.freeze("absent", freeze)


def test_tokens_that_are_held(store: Registry) -> None:
    one, other = token(), token("other")
    with store.transaction() as tx:
        tx.tokens.add(one, b"1")
        tx.tokens.add(other, b"2")
        revoked = tx.tokens.revoke(one.id, at(1))
        assert tx.tokens.held([one.id, "absent", "", str(uuid.uuid4())]) == {one.id: revoked}
        assert tx.tokens.held([]) == {}
