"""docs/webhooks.md says what is sent, and its receiver works."""

from __future__ import annotations

import re
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.domain.event import EVENT_TYPES, Event
from service.usecases.clock import utc_now
from tests.deploy.build_image import ROOT

TEXT = (ROOT / "docs" / "webhooks.md").read_text()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_table_has_every_event() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (?:yes|no|if it named one) \| (.+) \|$", TEXT, re.M)
    assert dict(rows) == EVENT_TYPES
    assert len(rows) == len(EVENT_TYPES)


def test_its_receiver_tells_new_from_old() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own documentation
    seen: set[str] = set()
    revisions: dict[str, int] = {}

    def receive(event: Event, secret: str = SECRET) -> str:
        now = utc_now()
        body = event.document()
        headers = {
            "Webhook-Id": event.id,
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": Webhook(secret).sign(event.id, now, body.decode()),
        }
        answer: str = names["receive"](body, headers, SECRET, seen, revisions)
        return answer

    def changed(revision: int) -> Event:
        data = {"subject": "Production", "before": None, "after": {"revision": revision}}
        return Event("stage.changed", utc_now(), "prod", model="orders", data=data)

    first, third = changed(1), changed(3)
    assert [receive(first), receive(first), receive(third), receive(changed(2))] == ["new", "again", "new", "stale"]
    assert receive(Event("import.done", utc_now())) == "new"
    with pytest.raises(WebhookVerificationError):
        receive(changed(4), "whsec_" + "A" * 43 + "=")


def test_a_document_is_the_same_bytes_each_time() -> None:
    event = Event("import.done", utc_now(), data={"b": "ä", "a": [1, None]})
    assert event.document() == event.document()
    assert event.document().isascii()
