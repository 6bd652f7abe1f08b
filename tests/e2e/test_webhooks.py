"""Events reach their receivers from a real worker over real HTTP, whenever the worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.settings import Settings
from tests.api.conftest import ORDERS
from tests.conftest import KEY
from tests.webhooks.receiver import Receiver, Reply, Request

STAGE = "/v1/environments/{}/models/orders/stages/{}"


class Worker:
    """The worker of `faulty_worker` as a process of its own, started again whenever it is dead."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self._environ = environ
        self._faults = folder / "faults"
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, faults: str = "") -> None:
        self._faults.write_text(faults)
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "tests.e2e.faulty_worker", str(self._faults)]
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    def killed(self) -> None:
        """Wait until it has killed itself, as it was told to."""
        assert self._process is not None
        assert self._process.wait(60) == -signal.SIGKILL, self._log.read_text()[-3000:]

    def stop(self) -> int | None:
        if self._process is None or self._process.poll() is not None:
            return None
        self._process.terminate()
        return self._process.wait(30)


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    environ = {
        **os.environ,
        "MODEL_REGISTRY_DATABASE_URL": settings.database_url,
        "MODEL_REGISTRY_S3_ENDPOINT": settings.s3.endpoint,
        "MODEL_REGISTRY_S3_ACCESS_KEY": settings.s3.access_key,
        "MODEL_REGISTRY_S3_SECRET_KEY": settings.s3.secret_key,
        "MODEL_REGISTRY_S3_BUCKET": settings.s3.bucket,
        "MODEL_REGISTRY_PUBLIC_URL": settings.public_url,
        "MODEL_REGISTRY_SECRET_KEY": KEY,
        "MODEL_REGISTRY_WEBHOOK_ALLOW": "127.0.0.1/32",
        # Nothing of the environment may lead a webhook elsewhere.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    made = Worker(environ, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def filled(client: FlaskClient, run_imports: Callable[[], int]) -> FlaskClient:
    """Two versions of the model orders, and two environments."""
    client.put("/v1/workspaces/dev", json={"kind": "databricks"})
    for environment in ("prod", "qa"):
        client.put(f"/v1/environments/{environment}", json={})
    client.post("/v1/workspaces/dev/imports", data=ORDERS)
    assert run_imports() == 1
    return client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def subscribe(client: FlaskClient, url: str, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/webhooks", json={"url": url, **fields})
    assert response.status_code == 201, response.text
    webhook: dict[str, Any] = response.get_json()
    return webhook


def promote(client: FlaskClient, version: int, environment: str = "prod", stage: str = "Staging") -> None:
    assert client.put(STAGE.format(environment, stage), json={"version": version}).status_code == 200


def deliveries(client: FlaskClient, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"/v1/webhooks/{webhook['id']}/deliveries").get_json()["deliveries"]
    return rows


def eventually(done: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_killed_before_and_after_sending(filled: FlaskClient, worker: Worker, receiver: Receiver) -> None:
    webhook = subscribe(filled, receiver.url, environment="prod", events=["stage.changed"])
    promote(filled, 1)  # while no worker runs: the event waits in the database
    worker.start("before")
    worker.killed()
    assert receiver.requests == []
    worker.start("after")
    worker.killed()
    (first,) = receiver.got(1)
    assert deliveries(filled, webhook)[0]["state"] == "pending", "it came, and nobody knows"
    worker.start()
    again = receiver.got(2)[1]
    eventually(lambda: deliveries(filled, webhook)[0]["state"] == "delivered")
    assert (again.id, again.body) == (first.id, first.body), "the same event, told apart by its id"
    document = again.verified(webhook["secret"])
    assert (document["type"], document["environment"], document["model"]) == ("stage.changed", "prod", "orders")
    assert document["data"]["subject"] == "Staging"
    assert (document["data"]["after"]["version"], document["data"]["after"]["revision"]) == (1, 1)
    (delivery,) = deliveries(filled, webhook)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [204]
    assert delivery["event_id"] == document["id"] == again.id
    promote(filled, 2)
    assert receiver.got(3)[2].verified(webhook["secret"])["data"]["after"]["revision"] == 2
    assert worker.stop() == 0


def test_each_environment_hears_of_itself_only_and_nobody_waits_for_the_slow(
    filled: FlaskClient, worker: Worker, receiver: Receiver
) -> None:
    changes = ["stage.changed"]
    hooks = {
        name: subscribe(filled, f"{receiver.url}/{name}", environment=name, events=changes) for name in ("prod", "qa")
    }
    hooks["all"] = subscribe(filled, f"{receiver.url}/all", events=changes)
    slow = subscribe(filled, f"{receiver.url}/slow", events=changes)

    def reply(request: Request) -> Reply:
        return Reply(seconds=3) if request.path.endswith("/slow") else Reply()

    receiver.reply = reply
    for version in (1, 2, 1, 2):
        promote(filled, version, "prod")
        promote(filled, version, "qa")
    worker.start()
    eventually(lambda: len([item for item in receiver.requests if not item.path.endswith("/slow")]) == 16)
    slowed = [item for item in receiver.requests if item.path.endswith("/slow")]
    assert len(slowed) < 8, "a receiver that takes 3 s for each event held nobody up"
    heard: dict[str, list[tuple[str, int]]] = {name: [] for name in hooks}
    for request in receiver.requests:
        name = request.path.rpartition("/")[2]
        if name in hooks:
            document = request.verified(hooks[name]["secret"])
            heard[name].append((document["environment"], document["data"]["after"]["revision"]))
    assert heard["prod"] == [("prod", revision) for revision in (1, 2, 3, 4)], "in order"
    assert heard["qa"] == [("qa", revision) for revision in (1, 2, 3, 4)]
    assert sorted(heard["all"]) == heard["prod"] + heard["qa"]
    assert filled.delete(f"/v1/webhooks/{slow['id']}").status_code == 204


def test_failures_are_tried_again_and_gone_ends_it(filled: FlaskClient, worker: Worker, receiver: Receiver) -> None:
    webhook = subscribe(filled, receiver.url, environment="prod", events=["stage.changed"])
    replies = [
        Reply(500, b"x" * 5000),
        Reply(302, headers={"Location": f"{receiver.url}/elsewhere"}),
        Reply(200, b"ok"),
    ]
    receiver.reply = lambda request: replies[min(len(receiver.requests), 3) - 1]
    worker.start()
    assert filled.post(f"/v1/webhooks/{webhook['id']}/test").status_code == 202
    tries = receiver.got(3)
    assert [request.path for request in tries] == ["/hook"] * 3, "no redirect is followed"
    assert tries[1].at - tries[0].at > 1
    eventually(lambda: deliveries(filled, webhook)[0]["state"] == "delivered")
    (delivery,) = deliveries(filled, webhook)
    assert [(attempt["status"], attempt["answer"]) for attempt in delivery["attempts"]] == [
        (500, "x" * 1024),
        (302, ""),
        (200, "ok"),
    ]
    again = filled.post(f"/v1/webhooks/{webhook['id']}/deliveries/{delivery['id']}/redeliver")
    assert again.status_code == 202
    assert receiver.got(4)[3].id == tries[0].id
    receiver.reply = lambda request: Reply(410)
    promote(filled, 1)
    eventually(lambda: not filled.get(f"/v1/webhooks/{webhook['id']}").get_json()["enabled"])
    assert "410" in filled.get(f"/v1/webhooks/{webhook['id']}").get_json()["disabled_reason"]
    assert deliveries(filled, webhook)[0]["state"] == "failed"
