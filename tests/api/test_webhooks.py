"""Webhooks over the API: who may have which, where they may lead, what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.app import create_app
from service.domain.event import EVENT_TYPES
from service.settings import Settings, WebhookSettings
from service.usecases import manage_webhooks
from service.usecases.dispatch_events import dispatch_events
from service.wiring import Parts, make_parts
from tests.api.conftest import Headers
from tests.api.matching import ID, NOW, Matching
from tests.api.problems import problem
from tests.api.traces import Unchanged
from tests.small_exports import packed

URL = "http://127.0.0.1:9/hook"  # of a network that the tests' settings name
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ABSENT = "00000000-0000-0000-0000-000000000000"
GIVEN: dict[str, Any] = {
    "url": URL,
    "environment": "prod",
    "events": ["stage.changed", "promotion.applied"],
    "model": "orders",
    "description": "the cluster",
}


def shown(**fields: Any) -> dict[str, Any]:
    unset = {"disabled_reason": "", "failing_since": None, "previous_until": None}
    return {"id": ID, **GIVEN, "enabled": True, "created_by": "test", "created_at": NOW, **unset, **fields}


def make(client: FlaskClient, headers: Headers | None = None, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/webhooks", json={"url": URL, **fields}, headers=dict(headers or {}))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.get_json()
    return made


def test_a_webhook_from_its_making_to_its_end(places: FlaskClient) -> None:
    created = places.post("/v1/webhooks", json=GIVEN)
    assert created.status_code == 201
    assert created.headers["Cache-Control"] == "no-store"
    assert created.get_json() == shown(secret=Matching(r"whsec_[A-Za-z0-9+/]{43}="))
    place = created.headers["Location"]
    assert place == f"/v1/webhooks/{created.get_json()['id']}"
    assert places.get(place).get_json() == shown()
    assert places.get("/v1/webhooks").get_json() == {"webhooks": [shown()]}
    changed = places.put(place, json={"url": f"{URL}/2", "enabled": False})
    expected = shown(url=f"{URL}/2", events=[], model="", description="", enabled=False)
    assert changed.get_json() == expected, "what is left out gets its default; the environment stays"
    assert places.get(place).get_json() == expected
    assert places.delete(place).status_code == 204
    problem(places.get(place), 404, "webhook-not-found", kind="webhook")
    assert places.get("/v1/webhooks").get_json() == {"webhooks": []}


def test_an_environment_has_only_so_many(
    places: FlaskClient, monkeypatch: pytest.MonkeyPatch, nothing_left: Unchanged
) -> None:
    monkeypatch.setattr(manage_webhooks, "MAX_WEBHOOKS", 2)
    made = [make(places, environment="prod") for _ in range(2)]
    with nothing_left():
        document = problem(places.post("/v1/webhooks", json=GIVEN), 409, "conflict", limit=2)
    assert "has 2 webhooks" in document["detail"]
    for environment in ("qa", ""):
        make(places, environment=environment)
    assert places.delete(f"/v1/webhooks/{made[0]['id']}").status_code == 204
    make(places, environment="prod")


def test_the_secret_is_sealed_and_changes_with_an_overlap(places: FlaskClient, engine: sa.Engine) -> None:
    made = make(places, secret=SECRET)
    assert made["secret"] == SECRET
    place = f"/v1/webhooks/{made['id']}/secret"
    rotated = places.post(place, json={})
    assert rotated.headers["Cache-Control"] == "no-store"
    body = rotated.get_json()
    assert body["secret"] not in (SECRET, None)
    lasts = datetime.fromisoformat(body["previous_until"]) - datetime.now().astimezone()
    assert timedelta(hours=23.9) < lasts <= timedelta(hours=24)
    with engine.connect() as connection:
        stored = connection.scalar(sa.text("SELECT string_agg(w::text, '') FROM registry.webhooks w"))
        audited = connection.scalar(sa.text("SELECT string_agg(a::text, '') FROM registry.audit a"))
    for secret in (SECRET, body["secret"]):
        for text in (stored, audited):
            assert secret not in text
            assert secret.encode().hex() not in text
    assert "webhook.created" in audited
    assert "/hook" not in audited, "the path of a receiver may be as good as a password"
    at_once = places.post(place, json={"secret": SECRET, "overlap_hours": 0}).get_json()
    assert (at_once["secret"], at_once["previous_until"]) == (SECRET, None)


WRONG: list[tuple[str, object, str]] = [
    ("url", "", "url"),
    ("url", 1, "url"),
    ("url", None, "url"),
    ("url", "https://h/" + "x" * 2000, "url"),
    ("events", ["stage.changed", 1], "events.1"),
    ("events", "stage.changed", "events"),
    ("model", "x" * 257, "model"),
    ("enabled", "yes", "enabled"),
    ("secret", "x" * 101, "secret"),
    ("environment", "x" * 64, "environment"),
    ("headers", {}, "headers"),
]


def test_what_is_no_webhook(places: FlaskClient, nothing_left: Unchanged) -> None:
    with nothing_left():
        for field, value, named in WRONG:
            document = problem(places.post("/v1/webhooks", json={**GIVEN, field: value}), 422, "invalid-input")
            assert [row["field"] for row in document["fields"]] == [named]
        for secret in ("", "whsec_", "whsec_AAAA", SECRET.removeprefix("whsec_"), f"{SECRET}!", "whsec_" + "A" * 92):
            wrong = places.post("/v1/webhooks", json={**GIVEN, "secret": secret})
            problem(wrong, 422, "invalid-input", field="secret")
        unknown = places.post("/v1/webhooks", json={**GIVEN, "events": ["stage.changed", "stage.burnt"]})
        problem(unknown, 422, "invalid-input", field="events.1")
        problem(places.post("/v1/webhooks", json={**GIVEN, "environment": "absent"}), 404, "environment-not-found")


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "http://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://nowhere.invalid/",
        "https://user:secret@127.0.0.1/",
        "ftp://127.0.0.1/",
    ],
)
def test_where_a_webhook_may_not_lead(places: FlaskClient, nothing_left: Unchanged, url: str) -> None:
    place = f"/v1/webhooks/{make(places)['id']}"
    with nothing_left():
        for response in (places.post("/v1/webhooks", json={"url": url}), places.put(place, json={"url": url})):
            document = problem(response, 422, "invalid-input", field="url")
            assert "secret" not in document["detail"]
    assert places.get(place).get_json()["url"] == URL


def test_without_a_key_there_are_none(places: FlaskClient, settings: Settings, nothing_left: Unchanged) -> None:
    bare = Settings(
        settings.database_url, settings.s3, settings.public_url, webhooks=WebhookSettings((), settings.webhooks.rules)
    )
    client = create_app(bare, make_parts(bare)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = places.environ_base["HTTP_AUTHORIZATION"]
    with nothing_left():
        refused = client.post("/v1/webhooks", json={"url": URL})
        problem(refused, 409, "not-configured", setting="MODEL_REGISTRY_SECRET_KEY")
    assert client.get("/v1/webhooks").get_json() == {"webhooks": []}


def test_who_manages_which(places: FlaskClient, caller: Callable[[str], Headers]) -> None:
    callers = {name: dict(caller(name)) for name in ("webhook:prod", "webhook:qa", "webhook:*", "promote:prod")}
    mine = make(places, callers["webhook:prod"], environment="prod")
    everyones = make(places)
    seen = {
        name: {row["id"] for row in places.get("/v1/webhooks", headers=headers).get_json()["webhooks"]}
        for name, headers in callers.items()
    }
    assert seen == {
        "webhook:prod": {mine["id"]},
        "webhook:qa": set(),
        "webhook:*": {mine["id"]},
        "promote:prod": set(),
    }
    assert {row["id"] for row in places.get("/v1/webhooks").get_json()["webhooks"]} == {mine["id"], everyones["id"]}
    for name, environment in (
        ("webhook:prod", "qa"),
        ("webhook:prod", ""),
        ("webhook:*", ""),
        ("promote:prod", "prod"),
    ):
        refused = places.post("/v1/webhooks", json={"url": URL, "environment": environment}, headers=callers[name])
        problem(refused, 403, "not-allowed", needed=f"webhook:{environment}" if environment else "admin")
    sent = places.post(f"/v1/webhooks/{mine['id']}/test").get_json()["id"]
    requests = {
        ("GET", ""): None,
        ("PUT", ""): {"url": URL},
        ("POST", "/secret"): {},
        ("POST", "/test"): None,
        ("GET", "/deliveries"): None,
        ("GET", f"/deliveries/{sent}"): None,
        ("POST", f"/deliveries/{sent}/redeliver"): None,
        ("DELETE", ""): None,
    }
    for (method, path), body in requests.items():
        for name, expected in (("webhook:qa", {404}), ("promote:prod", {404}), ("webhook:prod", {200, 202, 204})):
            place = f"/v1/webhooks/{mine['id']}{path}"
            response = places.open(place, method=method, json=body, headers=callers[name])
            assert response.status_code in expected, (name, path)
    problem(places.get(f"/v1/webhooks/{everyones['id']}", headers=callers["webhook:*"]), 404, "webhook-not-found")


def test_what_is_to_be_delivered_is_told(filled: FlaskClient, parts: Parts) -> None:
    dispatch_events(parts.store, parts.clock)  # what the fixture changed
    hooks = {name: make(filled, environment=name, events=["stage.changed"]) for name in ("prod", "qa")}
    assert filled.put("/v1/environments/prod/models/orders/stages/Staging", json={"version": 2}).status_code == 200
    dispatch_events(parts.store, parts.clock)
    listed = {name: filled.get(f"/v1/webhooks/{hook['id']}/deliveries").get_json() for name, hook in hooks.items()}
    (told,) = listed["prod"]["deliveries"]
    assert listed["qa"] == {"deliveries": []}
    assert told == {
        "id": ID,
        "webhook_id": hooks["prod"]["id"],
        "event_id": ID,
        "event_type": "stage.changed",
        "state": "pending",
        "created_at": NOW,
        "next_at": NOW,
        "finished_at": None,
        "attempts": [],
    }
    place = f"/v1/webhooks/{hooks['prod']['id']}/deliveries/{told['id']}"
    assert filled.get(place).get_json() == told
    again = filled.post(f"{place}/redeliver")
    assert (again.status_code, again.headers["Location"]) == (202, place)
    problem(filled.get(place.replace(hooks["prod"]["id"], hooks["qa"]["id"])), 404, "delivery-not-found")
    problem(filled.get(f"/v1/webhooks/{hooks['prod']['id']}/deliveries/{ABSENT}"), 404, "delivery-not-found")
    problem(filled.get(f"/v1/webhooks/{ABSENT}/deliveries"), 404, "webhook-not-found")
    page = filled.get(f"/v1/webhooks/{hooks['prod']['id']}/deliveries?limit=1&before={told['id']}")
    assert page.get_json() == {"deliveries": []}


def test_a_test_goes_to_one_webhook_whatever_it_asks_for(places: FlaskClient, parts: Parts) -> None:
    mine, other = make(places, events=["import.done"], model="iris"), make(places)
    sent = places.post(f"/v1/webhooks/{mine['id']}/test")
    assert sent.status_code == 202
    assert sent.get_json()["event_type"] == "webhook.test"
    assert dispatch_events(parts.store, parts.clock) == 0
    assert places.get(f"/v1/webhooks/{other['id']}/deliveries").get_json() == {"deliveries": []}
    assert places.put(f"/v1/webhooks/{mine['id']}", json={"url": URL, "enabled": False}).status_code == 200
    problem(places.post(f"/v1/webhooks/{mine['id']}/test"), 409, "conflict", webhook=mine["id"])
    problem(places.post(f"{sent.headers['Location']}/redeliver"), 409, "conflict", webhook=mine["id"])


def test_every_type_of_event_can_be_asked_for(places: FlaskClient) -> None:
    backwards = list(EVENT_TYPES)[::-1]
    assert make(places, events=[*backwards, *backwards])["events"] == list(EVENT_TYPES)


def test_what_imports_publish(filled: FlaskClient, parts: Parts, run_imports: Callable[[], int]) -> None:
    assert filled.post("/v1/workspaces/dev/imports", data=packed({"other.json": {}})).status_code == 202
    assert run_imports() == 1
    with parts.store.transaction() as tx:
        published = tx.events.waiting(100)
    assert [(event.type, event.environment, event.workspace, event.model) for event in published] == [
        ("version.registered", "", "dev", "orders"),
        ("version.registered", "", "dev", "orders"),
        ("import.done", "", "dev", ""),
        ("stage.changed", "prod", "", "orders"),
        ("promotion.applied", "prod", "", "orders"),
        ("import.refused", "", "dev", ""),
    ]
    assert [event.data["subject"] for event in published[:2]] == ["1", "2"]
    assert published[2].data["after"]["counts"]["versions"]["created"] == 2
    assert published[5].data["after"]["problem"]["status"] == 422
