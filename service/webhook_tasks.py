"""The worker's tasks for events and webhooks."""

from __future__ import annotations

import procrastinate

from service.settings import Settings
from service.stores.queue import DELIVER_TASK, HAND_ON_TASK, WEBHOOK_QUEUE
from service.usecases.deliver_webhooks import Deliverer
from service.usecases.dispatch_events import dispatch_events
from service.usecases.keep_webhooks import purge_events, reseal_secrets, wake_overdue
from service.wiring import Parts


def add_webhook_tasks(app: procrastinate.App, parts: Parts, settings: Settings, deliverer: Deliverer) -> None:
    """None of them is retried by the queue: whatever one leaves undone the next round of `wake-webhooks` finds."""

    @app.task(name=HAND_ON_TASK, queue=WEBHOOK_QUEUE)
    def hand_on() -> None:
        dispatch_events(parts.store, parts.clock)

    @app.task(name=DELIVER_TASK, queue=WEBHOOK_QUEUE)
    def deliver(webhook_id: str) -> None:
        deliverer.run(webhook_id)

    @app.periodic(cron="* * * * * */5")
    @app.task(name="wake-webhooks", queue=WEBHOOK_QUEUE, queueing_lock="wake-webhooks")
    def wake(timestamp: int) -> None:
        wake_overdue(parts.store, parts.clock)

    @app.periodic(cron="7 * * * *")
    @app.task(name="keep-webhooks", queue=WEBHOOK_QUEUE, queueing_lock="keep-webhooks")
    def keep(timestamp: int) -> None:
        reseal_secrets(parts.store, parts.webhooks.vault)
        purge_events(parts.store, parts.clock, settings.event_days)
