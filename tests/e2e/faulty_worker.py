"""The worker with faults: it kills itself around the sending of a webhook, once for each word in a file.

Run as `python -m tests.e2e.faulty_worker FILE`; the words are `before` and `after`. It retries after a second.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from service import worker
from service.settings import Settings
from service.usecases.deliver_webhooks import Deliverer
from service.usecases.event_ports import Answer, Message, WebhookParts, WebhookSender
from service.wiring import make_parts

worker.HEARTBEAT = 0.3
worker.STALLED = 1.5


class FaultySender:
    def __init__(self, sender: WebhookSender, faults: Path) -> None:
        self._sender = sender
        self._faults = faults

    def check(self, url: str) -> None:
        self._sender.check(url)

    def send(self, url: str, message: Message) -> Answer:
        self._perhaps_die("before")
        answer = self._sender.send(url, message)
        self._perhaps_die("after")
        return answer

    def _perhaps_die(self, place: str) -> None:
        words = self._faults.read_text().split()
        if place in words:
            words.remove(place)
            self._faults.write_text(" ".join(words))
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    settings = Settings.from_env(os.environ)
    parts = make_parts(settings)
    webhooks = WebhookParts(FaultySender(parts.webhooks.sender, Path(sys.argv[1])), parts.webhooks.vault)
    deliverer = Deliverer(parts.store, webhooks, parts.clock, lambda tries, spread: timedelta(seconds=1))
    worker.run_worker(worker.make_worker_app(settings, parts, deliverer), concurrency=1)


if __name__ == "__main__":
    main()
