"""Whoever waits for a change hears of it at once, of each one, and costs nothing when gone."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from service.embedded.objects import EmbeddedObjects
from tests.handout.conftest import STAGE, WATCHERS, Database, Service, answers, start, until

EVENTS = "/v1/environments/prod/events"
ALL = "/v1/environments/prod/stages"
PROMOTIONS = 200
FOLLOWERS = 50


@contextmanager
def events(
    service: Service, last: str = "", headers: dict[str, str] | None = None
) -> Iterator[Iterator[dict[str, Any]]]:
    """The events as they come; a comment is one without an event."""
    given = {**(headers or service.headers), **({"Last-Event-ID": last} if last else {})}
    with requests.get(service.url + EVENTS, headers=given, stream=True, timeout=60) as answer:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        yield parsed(answer.iter_lines(chunk_size=1, decode_unicode=True))


def parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value
        else:
            yield event
            event = {}


def changes(told: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (event for event in told if event.get("event") == "stage.changed")


def other(service: Service, model: str = "m") -> int:
    """The version that is not in the stage."""
    return 3 - int(service.get(f"/v1/environments/prod/models/{model}/stages/live").json()["version"])


@pytest.mark.parametrize("path", [STAGE, ALL, f"{ALL}/live?model=m", f"{ALL}/live"])
def test_a_wait_ends_with_the_change(path: str, services: tuple[Service, Service], database: Database) -> None:
    first, second = services
    etag = first.get(path).headers["ETag"]
    told: list[tuple[float, requests.Response]] = []
    wait = f"{path}{'&' if '?' in path else '?'}wait=30"

    def watch() -> None:
        answer = first.get(wait, **{"If-None-Match": etag})
        told.append((time.monotonic(), answer))

    thread = threading.Thread(target=watch)
    thread.start()
    time.sleep(0.5)
    assert second.promote(other(first)).ok
    written = time.monotonic()
    thread.join(10)
    at, answer = told[0]
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag
    assert first.get(path).content == answer.content
    assert at - written < 1


def test_a_wait_without_a_change(services: tuple[Service, Service]) -> None:
    service = services[0]
    etag = service.get().headers["ETag"]
    for given, wait, seconds in ((etag, 1, 1.0), (etag, 0, 0.0), ('"other"', 20, 0.0), ("", 20, 0.0)):
        began = time.monotonic()
        answer = service.get(f"{STAGE}?wait={wait}", **({"If-None-Match": given} if given else {}))
        assert answer.status_code == (304 if given == etag else 200)
        assert seconds <= time.monotonic() - began < seconds + 0.9
    assert service.get(f"{STAGE}?wait=61", **{"If-None-Match": etag}).status_code == 422
    assert service.get(f"{STAGE}?wait=soon", **{"If-None-Match": etag}).status_code == 422


def test_another_place_wakes_nobody(services: tuple[Service, Service]) -> None:
    service = services[0]
    etag = service.get().headers["ETag"]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(service.get, f"{STAGE}?wait=2", **{"If-None-Match": etag})
        time.sleep(0.3)
        assert services[1].promote(other(service, "n"), "n").ok
        assert waiting.result().status_code == 304


def test_no_change_is_lost(services: tuple[Service, Service], database: Database) -> None:
    """Followers of both services, some of whom come and go, see every revision once and in order."""
    begun = services[0].get().json()["revision"]
    first_version = other(services[0])
    ready = threading.Barrier(FOLLOWERS + 1)
    last = begun + PROMOTIONS

    def follow(number: int) -> list[int]:
        seen: list[int] = []
        at, hops = "", 0
        service = services[number % 2]
        while not seen or seen[-1] < last:
            with events(service, at) as told:
                for event in told:
                    at = event.get("id", at)
                    if not hops:
                        ready.wait(60)
                        hops = 1
                    if event.get("event") == "stage.changed":
                        seen.append(event["data"]["revision"])
                        if seen[-1] == last or (number % 5 == 0 and len(seen) % 40 == 0):
                            break  # and on from here with the id
            service = services[len(seen) % 2]
        return seen

    with ThreadPoolExecutor(FOLLOWERS) as threads:
        followers = [threads.submit(follow, number) for number in range(FOLLOWERS)]
        ready.wait(60)
        for number in range(PROMOTIONS):
            database.promote(first_version if number % 2 == 0 else 3 - first_version)
        wanted = list(range(begun + 1, last + 1))
        assert all(follower.result(60) == wanted for follower in followers)


def test_every_long_poll_ends_at_the_last_change(services: tuple[Service, Service], database: Database) -> None:
    ended = threading.Event()

    def poll(service: Service) -> int:
        seen, etag, ending = 0, "", False
        with requests.Session() as session:
            while not ending:
                ending = ended.is_set()
                headers = {**service.headers, "If-None-Match": etag}
                answer = session.get(f"{service.url}{STAGE}?wait=1", headers=headers, timeout=60)
                if answer.status_code == 200:
                    assert answer.json()["revision"] > seen
                    seen, etag = answer.json()["revision"], answer.headers["ETag"]
        return seen

    with ThreadPoolExecutor(10) as threads:
        pollers = [threads.submit(poll, services[number % 2]) for number in range(10)]
        version = other(services[0])
        for number in range(60):
            database.promote(version if number % 2 == 0 else 3 - version)
        ended.set()
        last = services[0].get().json()["revision"]
        assert {poller.result() for poller in pollers} == {last}


def test_events_say_what_changed(services: tuple[Service, Service]) -> None:
    first, second = services
    version = other(first)
    with events(first) as told:
        begun = next(told)
        assert begun.keys() == {"retry", "id"}
        put = second.promote(version).json()
        event = next(changes(told))
    place = {"environment": "prod", "model": "m", "stage": "live", "at": event["data"]["at"]}
    change = {"version": version, "digest": put["digest"], "revision": put["revision"], "kind": "promotion"}
    assert event["data"] == {**place, **change}
    assert int(event["id"]) > int(begun["id"])
    with events(second, begun["id"]) as told:
        assert next(changes(told)) == event
    with events(second, event["id"]) as told:
        assert next(told)["id"] == event["id"]
    with events(second, "999999999") as told:
        reset = next(told)
        assert (reset["event"], reset["data"], int(reset["id"]) >= int(event["id"])) == ("reset", {}, True)


def test_events_refused(services: tuple[Service, Service], database: Database) -> None:
    service = services[0]
    for last in ("x", "-1", "1" * 19):
        assert service.get(EVENTS, **{"Last-Event-ID": last}).status_code == 422
    assert service.get(EVENTS.replace("prod", "absent")).status_code == 404
    _, elsewhere = database.token("read:qa")
    assert requests.get(service.url + EVENTS, headers=elsewhere, timeout=30).status_code == 403
    assert requests.get(service.url + EVENTS, timeout=30).status_code == 401


def test_a_revoked_token_ends_the_watch(services: tuple[Service, Service], database: Database) -> None:
    first, second = services
    token_id, headers = database.token("read:prod")
    etag = first.get().headers["ETag"]
    with ThreadPoolExecutor(1) as threads, events(first, headers=headers) as told:
        next(told)
        waiting = threads.submit(
            requests.get, f"{first.url}{STAGE}?wait=30", headers={**headers, "If-None-Match": etag}, timeout=60
        )
        time.sleep(0.5)
        second.revoke(token_id)
        began = time.monotonic()
        assert waiting.result().status_code == 401
        assert list(told) == []
        assert time.monotonic() - began < 1.5


def begin_to_wait(service: Service, etag: str) -> socket.socket:
    address = urlsplit(service.url)
    client = socket.create_connection((address.hostname or "", address.port or 0), timeout=30)
    head = f"GET {STAGE}?wait=60 HTTP/1.1\r\nHost: {address.netloc}\r\nIf-None-Match: {etag}\r\n"
    client.sendall(f"{head}Authorization: {service.headers['Authorization']}\r\n\r\n".encode())
    client.setblocking(False)
    return client


def test_places_are_bounded_and_come_back(services: tuple[Service, Service]) -> None:
    """Both processes of a service have so many places; a client that goes away frees its own."""
    service = services[0]
    etag = service.get().headers["ETag"]
    for _ in range(2):
        clients = [begin_to_wait(service, etag) for _ in range(2 * WATCHERS + 40)]
        try:
            until(lambda clients=clients: sum(refused(client) for client in clients) >= 40)  # type: ignore[misc]
            assert service.get().status_code == 200, "who does not wait is answered"
            time.sleep(0.5)
            kept = sum(not refused(client) for client in clients)
            assert WATCHERS < kept <= 2 * WATCHERS
        finally:
            for client in clients:
                client.close()
        time.sleep(1.5)  # it is looked for each second


def refused(client: socket.socket) -> bool:
    try:
        answer = client.recv(4096, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    assert answer.startswith(b"HTTP/1.1 503"), answer
    assert b"Retry-After: 2\r\n" in answer
    return b"urn:model-registry:problem:busy" in answer  # the body comes after the head


def test_a_stop_lets_go(database: Database, object_server: EmbeddedObjects, tmp_path: Path) -> None:
    _, headers = database.token("admin")
    service = start(database, object_server, headers, tmp_path / "log")
    until(lambda: answers(service), 60)
    etag = service.get().headers["ETag"]
    with ThreadPoolExecutor(1) as threads, events(service) as told:
        next(told)
        waiting = threads.submit(service.get, f"{STAGE}?wait=60", **{"If-None-Match": etag})
        time.sleep(0.5)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert waiting.result().status_code == 304
        assert not [event for event in told if "event" in event]
    assert service.process.wait(20) == 0
    assert time.monotonic() - began < 8
