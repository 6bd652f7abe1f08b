"""Random walks over everything that changes a stage, compared with the reference at every step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.domain.environment import Freeze, Place
from service.domain.errors import RegistryError
from service.domain.history import Precondition
from service.domain.identity import Principal, Scope, Token
from service.domain.policy import StagePolicies
from service.domain.promotion import Promotion, PromotionState
from service.usecases.change_stage import empty_stage
from service.usecases.decide_promotion import approve, cancel, expire_promotions, reject
from service.usecases.ports import RegistryStore, Transaction
from service.usecases.promote import Request, promote
from service.usecases.roll_back import roll_back
from service.usecases.withdraw import reinstate, withdraw
from tests.contract.samples import environment, new_version, workspace
from tests.promotion.reference import LIFETIME, Reference

START = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = "iris"
WHERE = [("qa", "Staging"), ("prod", "Staging"), ("prod", "Production")]
NEEDED = {"qa": 0, "prod": 2}
VERSIONS = range(1, 4)
PEOPLE = ("ann", "ben", "cem", "dee")

places = st.sampled_from(WHERE)
versions = st.sampled_from(VERSIONS)
people = st.sampled_from(PEOPLE)


class Promotions(RuleBasedStateMachine):
    """Run by `tests.promotion.test_machine` for each store that `make_store` makes."""

    make_store: ClassVar[Callable[[], RegistryStore]]

    @initialize(skips=st.booleans())
    def begin(self, skips: bool) -> None:
        self.store = type(self).make_store()
        self.reference = Reference(NEEDED, {"prod"} if skips else set())
        self.ids: dict[tuple[str, str], str] = {}
        self.people = {name: person(name) for name in PEOPLE}
        rules: dict[str, Any] = {"approvals": {"count": NEEDED["prod"], "valid_for": f"{LIFETIME}m"}}
        rules["rollback_skips"] = ["approvals"] if skips else []
        with self.store.transaction() as tx:
            tx.workspaces.put(workspace())
            for name in ("qa", "prod"):
                tx.environments.put(environment(name))
            for number in VERSIONS:
                tx.models.add_version(new_version(MODEL, content=f"content {number}"))
            for who in self.people.values():
                add(tx, who)
            tx.policies.put("prod", "", StagePolicies.of({"default": rules}), "admin", START)

    def clock(self) -> datetime:
        return START + timedelta(minutes=self.reference.now)

    def tried(self, work: Callable[[Transaction], Promotion]) -> tuple[str, str]:
        """What became of it, in the reference's words, and the promotion's id."""
        try:
            with self.store.transaction() as tx:
                done = work(tx)
        except RegistryError as error:
            return error.slug, ""
        if done.state is PromotionState.REFUSED:
            assert done.problem
            return done.problem["slug"], done.id
        if done.state in (PromotionState.REJECTED, PromotionState.CANCELLED):
            return "ended", done.id
        return (done.state.value if done.id else "nothing"), done.id

    def asked(self, where: tuple[str, str], work: Callable[[Transaction], Promotion], expected: str) -> None:
        found, promotion_id = self.tried(work)
        assert found == expected
        if found == "pending":
            self.ids[where] = promotion_id

    @rule(where=places, version=versions, who=people, at=st.none() | st.integers(0, 4))
    def promote(self, where: tuple[str, str], version: int, who: str, at: int | None) -> None:
        request = Request(place(where), version=version, precondition=Precondition(at))
        expected = self.reference.promote(where, version, who, at)
        self.asked(where, lambda tx: promote(tx, self.clock, self.people[who], request), expected)

    promote_2 = promote_3 = promote

    @rule(where=places, who=people, to=st.none() | st.none() | st.integers(1, 5))
    def roll_back(self, where: tuple[str, str], who: str, to: int | None) -> None:
        expected = self.reference.roll_back(where, who, to)
        self.asked(where, lambda tx: roll_back(tx, self.clock, self.people[who], place(where), to), expected)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people)
    def approve(self, data: st.DataObject, who: str) -> None:
        waiting = [where for where in self.ids if self.reference.stage(*where).asked]
        where = data.draw(st.sampled_from(sorted(waiting or self.ids)))
        expected = self.reference.approve(where, who)
        assert self.tried(lambda tx: approve(tx, self.clock, self.people[who], self.ids[where]))[0] == expected

    approve_2 = approve_3 = approve_4 = approve  # so that walks get somewhere

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), who=people, how=st.sampled_from([reject, cancel]))
    def end(self, data: st.DataObject, who: str, how: Callable[..., Promotion]) -> None:
        where = data.draw(st.sampled_from(sorted(self.ids)))
        expected = self.reference.end(where)
        assert self.tried(lambda tx: how(tx, self.clock, self.people[who], self.ids[where]))[0] == expected

    @rule(where=places, who=people)
    def empty(self, where: tuple[str, str], who: str) -> None:
        expected = self.reference.empty(where)
        try:
            with self.store.transaction() as tx:
                empty_stage(tx, self.clock, self.people[who], place(where), "", Precondition())
            found = "applied"
        except RegistryError as error:
            found = error.slug
        assert found == expected

    @rule(version=versions, then=st.sampled_from(["fallback", "empty"]))
    def withdraw(self, version: int, then: Any) -> None:
        self.reference.withdraw(version, then)
        with self.store.transaction() as tx:
            withdraw(tx, self.clock, self.people["ann"], MODEL, version, "bad", then)

    @precondition(lambda self: self.reference.withdrawn)
    @rule(version=versions)
    def reinstate(self, version: int) -> None:
        self.reference.withdrawn.discard(version)
        with self.store.transaction() as tx:
            reinstate(tx, self.clock, self.people["ann"], MODEL, version, "good after all")

    @rule(where=st.sampled_from(sorted(NEEDED)), again=st.booleans())
    def freeze_or_lift(self, where: str, again: bool) -> None:
        if not (again or self.reference.frozen):
            return
        frozen = where not in self.reference.frozen
        self.reference.frozen ^= {where}
        with self.store.transaction() as tx:
            tx.environments.freeze(where, Freeze("sale", "ann", self.clock(), None) if frozen else None)

    @rule(minutes=st.sampled_from([1, 1, 1, LIFETIME - 1, LIFETIME, 31 * 24 * 60]))
    def wait(self, minutes: int) -> None:
        self.reference.now += minutes
        if minutes % 2:
            expire_promotions(self.store, self.clock)

    @rule(who=people)
    def revoke(self, who: str) -> None:
        """Its holder gets another token of the same name."""
        self.reference.revoke(who)
        with self.store.transaction() as tx:
            tx.tokens.revoke(self.people[who].token_id, self.clock())
            self.people[who] = person(who)
            add(tx, self.people[who])

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "store"):
            return
        with self.store.transaction() as tx:
            held = {(row.environment, row.stage): row for name in NEEDED for row in tx.stages.list(name)}
            for where in WHERE:
                stage = self.reference.stage(*where)
                changes = [*reversed(tx.stages.history(place(where), 500, None))]
                assert [(change.version, change.restores) for change in changes] == stage.changes
                assert [change.revision for change in changes] == list(range(1, len(changes) + 1))
                current = held.get(where)
                assert (current.version if current else None) == stage.current
                assert current is None or current.revision == stage.revision
                waiting = tx.promotions.pending(place(where))
                alive = waiting is not None and waiting.seen(self.clock()).state is PromotionState.PENDING
                assert alive == (stage.asked is not None and not self.reference.over(stage.asked))


def place(where: tuple[str, str]) -> Place:
    return Place(where[0], MODEL, where[1])


def add(tx: Transaction, who: Principal) -> None:
    tx.tokens.add(Token(who.token_id, who.name, who.scopes, "", START, None, None), uuid.uuid4().bytes)


def person(name: str) -> Principal:
    return Principal(str(uuid.uuid4()), name, (Scope("promote", "*"), Scope("approve", "*")))
