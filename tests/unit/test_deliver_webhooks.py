"""Deliveries: when they are tried again, when they end, what they do to their webhook."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from service.domain.audit import AuditQuery
from service.domain.errors import NotFound
from service.domain.event import Event
from service.domain.identity import OPERATOR
from service.domain.webhook import Delivery, DeliveryState, Webhook, delay
from service.stores.memory import MemoryRegistry
from service.usecases.deliver_webhooks import Deliverer
from service.usecases.dispatch_events import dispatch_events
from service.usecases.event_ports import Answer, Message, WebhookParts
from service.usecases.keep_webhooks import purge_events, reseal_secrets, wake_overdue
from service.usecases.manage_webhooks import (
    WebhookFields,
    change_webhook,
    create_webhook,
    remove_webhook,
    rotate_secret,
)
from service.usecases.redeliver import redeliver
from service.webhooks.vault import FernetVault
from tests.conftest import KEY
from tests.contract.samples import at, environment

OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
URL = "https://hooks.example.com/x"


@dataclass
class Script:
    """A sender that answers as it is told, then with 500 for ever; `sent` is what it was given."""

    answers: list[Answer] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def check(self, url: str) -> None:
        """Every URL is fine here."""

    def send(self, url: str, message: Message) -> Answer:
        assert url == URL
        self.sent.append(message)
        return self.answers.pop(0) if self.answers else Answer(500)


class World:
    """A registry in memory with one webhook, a clock that is set, a sender with a script."""

    def __init__(self) -> None:
        self.now = at(0)
        self.store = MemoryRegistry()
        self.sender = Script()
        self.parts = WebhookParts(self.sender, FernetVault((KEY,)))
        self.deliverer = Deliverer(self.store, self.parts, self.clock, spread=lambda: 1.0)
        with self.store.transaction() as tx:
            tx.environments.put(environment("prod"))
        self.hook, self.secret = create_webhook(
            self.store, self.parts, self.clock, OPERATOR, "prod", WebhookFields(URL), None
        )

    def clock(self) -> datetime:
        return self.now

    def publish(self, **fields: Any) -> Event:
        event = Event("stage.changed", self.now, **{"environment": "prod", "model": "iris", **fields})
        with self.store.transaction() as tx:
            tx.events.publish(event)
        dispatch_events(self.store, self.clock)
        return event

    def delivery(self) -> Delivery:
        with self.store.transaction() as tx:
            return tx.deliveries.list(self.hook.id, 1, None)[0]

    def webhook(self) -> Webhook:
        with self.store.transaction() as tx:
            return tx.webhooks.get(self.hook.id)

    def run(self) -> int:
        return self.deliverer.run(self.hook.id)

    def run_until_final(self) -> list[timedelta]:
        """Jump from try to try; the times at which they were, since the first."""
        began, tried = self.now, []
        while self.delivery().state is DeliveryState.PENDING and self.webhook().enabled:
            due = self.delivery().next_at
            assert due is not None
            self.now = max(due, self.now)
            tried.append(self.now - began)
            assert self.run() == 1
        return tried


@pytest.fixture
def world() -> World:
    return World()


def test_tries_go_on_for_three_days_each_later_than_the_last(world: World) -> None:
    world.publish()
    tried = world.run_until_final()
    gaps = [later - earlier for earlier, later in pairwise(tried)]
    assert gaps[:4] == [timedelta(seconds=seconds) for seconds in (5, 20, 80, 320)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == timedelta(hours=12)
    assert timedelta(days=2) < tried[-1] <= timedelta(days=3)
    done = world.delivery()
    assert (done.state, done.next_at, done.finished_at) == (DeliveryState.FAILED, None, world.now)
    assert [attempt.number for attempt in done.attempts] == list(range(1, len(tried) + 1))
    assert world.webhook().enabled, "three days are not five"
    assert world.run() == 0


def test_delays_are_spread() -> None:
    assert delay(3, 0.8) == timedelta(seconds=64)
    assert delay(3, 1.2) == timedelta(seconds=96)
    assert delay(10**6, 1) == timedelta(hours=12)


def test_a_success_ends_it(world: World) -> None:
    event = world.publish()
    world.sender.answers = [Answer(503, "busy"), Answer(None, error="No answer within 10 s."), Answer(299, "ok")]
    assert len(world.run_until_final()) == 3
    done = world.delivery()
    assert done.state is DeliveryState.DELIVERED
    told = [(attempt.status, attempt.error, attempt.answer) for attempt in done.attempts]
    assert told == [(503, "", "busy"), (None, "No answer within 10 s.", ""), (299, "", "ok")]
    assert world.webhook().failing_since is None
    assert {(message.id, message.body) for message in world.sender.sent} == {(event.id, event.document())}
    assert [message.at for message in world.sender.sent] == sorted({message.at for message in world.sender.sent})


def test_a_receiver_may_ask_for_patience_but_not_for_ever(world: World) -> None:
    world.publish()
    world.sender.answers = [Answer(429, retry_after=3600), Answer(503, retry_after=0), Answer(503, retry_after=10**8)]
    tried = world.run_until_final()
    assert tried[1] == timedelta(hours=1)
    assert tried[2] - tried[1] == timedelta(seconds=20)
    assert tried[3] - tried[2] == timedelta(hours=12)


def test_gone_disables_at_once(world: World) -> None:
    world.publish()
    world.publish()
    world.sender.answers = [Answer(410)]
    assert world.run() == 1
    hook = world.webhook()
    assert (hook.enabled, hook.disabled_reason) == (False, "The receiver answered 410 Gone.")
    with world.store.transaction() as tx:
        states = [item.state for item in tx.deliveries.list(world.hook.id, 10, None)]
    assert sorted(states) == [DeliveryState.FAILED, DeliveryState.PENDING]
    world.publish()
    with world.store.transaction() as tx:
        assert len(tx.deliveries.list(world.hook.id, 10, None)) == 2, "nothing is kept for the disabled"
    change_webhook(world.store, world.parts, world.clock, OPERATOR, world.hook.id, WebhookFields(URL))
    world.sender.answers = [Answer(200)]
    assert world.run() == 1, "what had waited goes out once it is enabled again"
    assert world.webhook().disabled_reason == ""


def test_five_days_of_failures_disable(world: World) -> None:
    for day in range(6):
        assert world.webhook().enabled, day
        world.now = at(day * 24 * 60)
        world.publish()
        assert world.run() >= 1
    hook = world.webhook()
    assert (hook.enabled, hook.failing_since) == (False, at(0))
    assert hook.disabled_reason == "Every delivery failed for 5 days."
    with world.store.transaction() as tx:
        actions = [row.action for row in tx.audit.chain(AuditQuery(), 100)]
    assert actions == ["webhook.created", "webhook.disabled"]


def test_a_success_in_between_keeps_it_enabled(world: World) -> None:
    for day in range(12):
        world.now = at(day * 24 * 60)
        world.publish()
        world.sender.answers = [Answer(200)] * 20 if day % 4 == 3 else []
        world.run()
    assert world.webhook().enabled


def test_again_on_request_whatever_became_of_it(world: World) -> None:
    world.publish()
    world.run_until_final()
    failed = world.delivery()
    world.sender.answers = [Answer(500), Answer(200)]
    redeliver(world.store, world.clock, OPERATOR, world.hook.id, failed.id)
    world.run_until_final()
    done = world.delivery()
    assert (done.state, done.tries) == (DeliveryState.DELIVERED, 2)
    assert len(done.attempts) == len(failed.attempts) + 2


def test_what_is_removed_while_it_is_sent_is_forgotten(world: World) -> None:
    world.publish()
    original = world.sender.send

    def send(url: str, message: Message) -> Answer:
        remove_webhook(world.store, world.clock, OPERATOR, world.hook.id)
        return original(url, message)

    world.sender.send = send  # type: ignore[method-assign]
    assert world.run() == 1
    with pytest.raises(NotFound):
        world.webhook()


def test_both_secrets_sign_until_the_overlap_ends(world: World) -> None:
    world.sender.answers = [Answer(200)] * 9
    world.publish()
    world.run()
    _, second = rotate_secret(world.store, world.parts, world.clock, OPERATOR, world.hook.id, None, 24)
    world.publish()
    world.run()
    world.now += timedelta(hours=24)
    world.publish()
    world.run()
    _, third = rotate_secret(world.store, world.parts, world.clock, OPERATOR, world.hook.id, None, 0)
    world.publish()
    world.run()
    signed = [message.secrets for message in world.sender.sent]
    assert signed == [(world.secret,), (second, world.secret), (second,), (third,)]
    assert len({world.secret, second, third}) == 3
    assert not [
        secret for secret in (world.secret, second) if secret in repr(world.webhook()) + repr(world.sender.sent)
    ]


def test_keys_are_rotated(world: World) -> None:
    rotate_secret(world.store, world.parts, world.clock, OPERATOR, world.hook.id, None, 24)
    both = FernetVault((OTHER_KEY, KEY))
    assert reseal_secrets(world.store, both) == 1
    assert reseal_secrets(world.store, both) == 0
    new_only = replace(world.deliverer, parts=WebhookParts(world.sender, FernetVault((OTHER_KEY,))))
    world.publish()
    world.sender.answers = [Answer(200)]
    new_only.run(world.hook.id)
    assert world.secret in world.sender.sent[0].secrets
    world.now += timedelta(minutes=1)
    world.publish()
    assert world.run() == 1
    assert len(world.sender.sent) == 1, "nothing is sent unsigned"
    attempt = world.delivery().attempts[0]
    assert attempt.status is None
    assert "MODEL_REGISTRY_SECRET_KEY" in attempt.error


def test_what_lost_its_job_is_found_and_what_is_old_is_forgotten(world: World) -> None:
    event = Event("stage.changed", world.now, environment="prod")
    with world.store.transaction() as tx:
        tx.events.publish(event)
        tx.state.jobs.clear()
    assert wake_overdue(world.store, world.clock) == 0, "handing it on queued a job already"
    assert ("deliver-webhook", world.hook.id) in world.store.jobs()
    assert world.run() == 1
    world.now += timedelta(days=30)
    assert purge_events(world.store, world.clock, 31) == 0
    assert purge_events(world.store, world.clock, 29) == 1
    with world.store.transaction() as tx:
        assert tx.deliveries.list(world.hook.id, 10, None) == []
