"""Events, webhooks and deliveries of every registry."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.domain.errors import NotFound
from service.domain.event import Event
from service.domain.webhook import Attempt, Delivery, DeliveryState, Webhook
from service.usecases.dispatch_events import dispatch_events
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, environment, fill

ABSENT = "00000000-0000-0000-0000-000000000000"


def event(type: str = "stage.changed", minutes: int = 0, **fields: Any) -> Event:
    return Event(type, at(minutes), **{"environment": "prod", "model": "iris", "data": {"a": [1, None]}, **fields})


def webhook(environment: str = "prod", minutes: int = 0, **fields: Any) -> Webhook:
    values: dict[str, Any] = {
        "url": "https://hooks.example.com/x",
        "events": (),
        "model": "",
        "description": "of the tests",
        "enabled": True,
        "created_by": "ci",
        "secret": b"\x00sealed\xff",
        **fields,
    }
    return Webhook(id=str(uuid.uuid4()), environment=environment, created_at=at(minutes), **values)


def delivery(hook: Webhook, told: Event, minutes: int = 0, **fields: Any) -> Delivery:
    then = at(minutes)
    values: dict[str, Any] = {"created_at": then, "since": then, "next_at": then, **fields}
    return Delivery(id=str(uuid.uuid4()), webhook_id=hook.id, event_id=told.id, event_type=told.type, **values)


def publish(store: Registry, *events: Event) -> None:
    with store.transaction() as tx:
        for each in events:
            tx.events.publish(each)


def waiting(store: Registry) -> list[str]:
    with store.transaction() as tx:
        return [each.id for each in tx.events.waiting(100)]


@pytest.fixture
def hook(store: Registry) -> Webhook:
    made = webhook()
    with store.transaction() as tx:
        tx.environments.put(environment())
        tx.environments.put(environment("qa"))
        tx.webhooks.add(made)
    return made


@pytest.fixture
def sent(store: Registry, hook: Webhook) -> Delivery:
    """A delivery of an event to the hook, due at minute 0."""
    told = event()
    made = delivery(hook, told)
    with store.transaction() as tx:
        tx.events.publish(told, handed_on=True)
        tx.deliveries.add([made])
    return made


# events


def test_published_events_wait_in_order_with_one_job(store: Registry) -> None:
    told = [event(minutes=minutes, workspace="dev") for minutes in (3, 1, 2)]
    publish(store, *told)
    assert waiting(store) == [each.id for each in told]
    assert store.jobs() == [("hand-on-events", "")], "one job for all of a transaction"
    with store.transaction() as tx:
        assert [tx.events.get(each.id) for each in told] == told
        assert [each.id for each in tx.events.waiting(2)] == [each.id for each in told[:2]]
        tx.events.handed_on([told[0].id])
    assert waiting(store) == [each.id for each in told[1:]]


def test_a_transaction_that_fails_tells_nobody(store: Registry) -> None:
    def fail() -> None:
        with store.transaction() as tx:
            tx.events.publish(event())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert waiting(store) == []
    assert store.jobs() == []


def test_a_change_of_a_stage_is_an_event_in_its_own_transaction(store: Registry) -> None:
    fill(store, "a", "b")

    def fail() -> None:
        with store.transaction() as tx:
            assign(tx, assignment(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert waiting(store) == []
    for version in (1, 1, 2):
        with store.transaction() as tx:
            assign(tx, assignment(version, minutes=version))
    with store.transaction() as tx:
        first, second = tx.events.waiting(10)
    assert (first.type, first.environment, first.model, first.at) == ("stage.changed", "prod", "iris", at(1))
    assert first.data["subject"] == "Production"
    assert first.data["by"] == "ci"
    assert (first.data["before"]["revision"], first.data["before"]["version"]) == (0, None)
    assert (second.data["before"]["revision"], second.data["after"]["revision"]) == (1, 2)
    assert len(store.jobs()) == 2, "what changes nothing is no event"


def test_events_that_are_not_there(store: Registry) -> None:
    for identifier in (ABSENT, "absent", ""):
        with pytest.raises(NotFound), store.transaction() as tx:
            tx.events.get(identifier)


def test_old_events_go_with_their_deliveries(store: Registry, hook: Webhook, sent: Delivery) -> None:
    late, unheard = event(minutes=20), event(minutes=-20)
    publish(store, late, unheard)
    with store.transaction() as tx:
        tx.events.handed_on([late.id])
        assert tx.events.purge(at(0)) == 0, "what nobody was told of yet is kept"
        assert tx.events.purge(at(10)) == 1
    with store.transaction() as tx:
        assert tx.deliveries.list(hook.id, 10, None) == []
        assert tx.events.get(late.id) == late


# webhooks


def test_webhooks_are_kept_as_they_are(store: Registry, hook: Webhook) -> None:
    whole = webhook(
        "",
        minutes=1,
        events=("stage.changed", "import.done"),
        model="iris",
        previous=b"\x01",
        previous_until=at(5),
        failing_since=at(4),
        disabled_reason="why",
        enabled=False,
    )
    with store.transaction() as tx:
        tx.webhooks.add(whole)
    with store.transaction() as tx:
        assert tx.webhooks.get(whole.id) == whole
        assert tx.webhooks.get(hook.id, for_change=True) == hook
        assert tx.webhooks.list() == [hook, whole]


def test_a_webhook_changes_but_for_its_environment(store: Registry, hook: Webhook) -> None:
    wanted = replace(
        hook, url="https://b.example", environment="qa", events=("import.done",), enabled=False, secret=b"other"
    )
    with store.transaction() as tx:
        tx.webhooks.replace(wanted)
        tx.webhooks.replace(webhook())
    with store.transaction() as tx:
        assert tx.webhooks.list() == [replace(wanted, environment="prod")]


def test_webhooks_that_are_not_there(store: Registry, hook: Webhook) -> None:
    for identifier in (ABSENT, "absent", hook.id.upper()):
        with pytest.raises(NotFound), store.transaction() as tx:
            tx.webhooks.get(identifier)
        with pytest.raises(NotFound), store.transaction() as tx:
            tx.webhooks.delete(identifier)
    with pytest.raises(NotFound, match="environment"), store.transaction() as tx:
        tx.webhooks.add(webhook("absent"))


def test_an_environment_takes_its_webhooks_with_it(store: Registry, hook: Webhook, sent: Delivery) -> None:
    everyones = webhook("")
    with store.transaction() as tx:
        tx.webhooks.add(everyones)
        tx.environments.delete("prod")
    with store.transaction() as tx:
        assert tx.webhooks.list() == [everyones]
        with pytest.raises(NotFound):
            tx.deliveries.get(sent.id)


# deliveries


def test_a_delivery_is_made_once_for_each_event(store: Registry, hook: Webhook, sent: Delivery) -> None:
    again = replace(sent, id=str(uuid.uuid4()))
    with store.transaction() as tx:
        tx.deliveries.add([again])
        tx.deliveries.add([])
    with store.transaction() as tx:
        assert tx.deliveries.list(hook.id, 10, None) == [sent]


def test_what_is_due_and_for_whom(store: Registry, hook: Webhook) -> None:
    other = webhook("qa")
    told = [event(minutes=minutes) for minutes in range(4)]
    mine = [delivery(hook, each, minutes, next_at=at(10 - minutes)) for minutes, each in enumerate(told)]
    done = replace(mine[3], state=DeliveryState.DELIVERED, next_at=None)
    with store.transaction() as tx:
        tx.webhooks.add(other)
        for each in told:
            tx.events.publish(each, handed_on=True)
        tx.deliveries.add([*mine[:3], done])
        assert tx.deliveries.due(hook.id, at(7)) is None
        assert tx.deliveries.overdue(at(7)) == []
        assert tx.deliveries.due(hook.id, at(8)) == mine[2]
        assert tx.deliveries.due(hook.id, at(60)) == mine[2], "the one that is due longest"
        tx.deliveries.replace(replace(mine[0], next_at=at(8)))
        assert tx.deliveries.due(hook.id, at(60)) == replace(mine[0], next_at=at(8)), "and was published first"
        assert tx.deliveries.due(other.id, at(60)) is None
        assert tx.deliveries.overdue(at(60)) == [hook.id]
        tx.deliveries.wake(hook.id)
        assert tx.deliveries.overdue(at(60)) == [], "it has a job"
        tx.webhooks.replace(replace(hook, enabled=False))
        assert tx.deliveries.due(hook.id, at(60)) is None
        assert tx.deliveries.overdue(at(60)) == []
    assert store.jobs() == [("deliver-webhook", hook.id)]


def test_attempts_are_numbered_and_kept(store: Registry, hook: Webhook, sent: Delivery) -> None:
    attempts = [Attempt(7, at(1), 12, 500, "", "no"), Attempt(7, at(2), 10_000, None, "No answer.", "")]
    changed = replace(sent, tries=2, since=at(1), next_at=at(3))
    for attempt in attempts:
        with store.transaction() as tx:
            tx.deliveries.log(sent.id, attempt)
    with store.transaction() as tx:
        tx.deliveries.replace(replace(changed, event_type="other", attempts=()))
        tx.deliveries.replace(delivery(hook, event()))
    expected = replace(changed, attempts=(replace(attempts[0], number=1), replace(attempts[1], number=2)))
    with store.transaction() as tx:
        assert tx.deliveries.get(sent.id, for_change=True) == expected
        assert tx.deliveries.list(hook.id, 10, None) == [expected]
        assert tx.deliveries.due(hook.id, at(3)) == replace(expected, attempts=())


def test_deliveries_newest_first_page_by_page(store: Registry, hook: Webhook) -> None:
    told = [event(minutes=minutes) for minutes in range(5)]
    made = [delivery(hook, each, minutes) for minutes, each in enumerate(told)]
    with store.transaction() as tx:
        for each in told:
            tx.events.publish(each, handed_on=True)
        tx.deliveries.add(made)
        first = tx.deliveries.list(hook.id, 3, None)
        assert first == made[:1:-1]
        assert tx.deliveries.list(hook.id, 3, first[-1].id) == made[1::-1]
    for identifier in (ABSENT, "absent"):
        with store.transaction() as tx, pytest.raises(NotFound):
            tx.deliveries.list(hook.id, 3, identifier)


# handing on


def test_who_hears_of_what(store: Registry) -> None:
    hooks = {
        "prod": webhook("prod"),
        "qa": webhook("qa"),
        "all": webhook(""),
        "imports": webhook("", events=("import.done", "import.failed")),
        "iris in prod": webhook("prod", model="iris"),
        "disabled": webhook("", enabled=False),
    }
    told = {
        "prod iris": event(),
        "prod other": event(model="other"),
        "qa iris": event(environment="qa"),
        "import": event("import.done", environment="", model="", workspace="dev"),
    }
    with store.transaction() as tx:
        for name in ("prod", "qa"):
            tx.environments.put(environment(name))
        for hook in hooks.values():
            tx.webhooks.add(hook)
    publish(store, *told.values())
    names = {each.id: name for name, each in told.items()}
    assert dispatch_events(store, lambda: at(1)) == 9
    assert dispatch_events(store, lambda: at(1)) == 0
    with store.transaction() as tx:
        heard = {
            name: {names[item.event_id] for item in tx.deliveries.list(hook.id, 10, None)}
            for name, hook in hooks.items()
        }
    assert heard == {
        "prod": {"prod iris", "prod other"},
        "qa": {"qa iris"},
        "all": set(told),
        "imports": {"import"},
        "iris in prod": {"prod iris"},
        "disabled": set(),
    }
    woken = [subject for task, subject in store.jobs() if task == "deliver-webhook"]
    assert sorted(woken) == sorted(hooks[name].id for name, some in heard.items() if some), "one job for each"


def test_handing_on_by_several_at_once_makes_each_delivery_once(store: Registry, hook: Webhook) -> None:
    publish(store, *(event(minutes=minutes) for minutes in range(200)))
    with ThreadPoolExecutor(4) as threads:
        made = [threads.submit(dispatch_events, store, lambda: at(0)) for _ in range(4)]
    assert sum(each.result() for each in made) == 200
    with store.transaction() as tx:
        assert len(tx.deliveries.list(hook.id, 500, None)) == 200
        assert tx.events.waiting(10) == []
        assert tx.events.purge(at(0) + timedelta(days=1)) == 200
