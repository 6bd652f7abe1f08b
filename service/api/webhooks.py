"""Routes of webhooks and of what became of their deliveries."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import webhook_payloads as p
from service.api.answers import answer, no_content
from service.api.auth import authenticated, principal
from service.api.document import problems
from service.domain.webhook import Delivery, Webhook
from service.usecases.manage_webhooks import (
    WebhookFields,
    change_webhook,
    create_webhook,
    get_webhook,
    list_webhooks,
    remove_webhook,
    rotate_secret,
)
from service.usecases.redeliver import get_delivery, list_deliveries, redeliver, send_test
from service.wiring import Parts

WEBHOOKS = Tag(name="webhooks", description="Who hears of changes without asking")
WEBHOOK = "/webhooks/<webhook_id>"
DELIVERIES = f"{WEBHOOK}/deliveries"
NOT_STORED = {"Cache-Control": "no-store"}


def add_webhooks(api: APIBlueprint, parts: Parts) -> None:
    # Any token may ask; the use cases know which environment a webhook is of, and so who may.
    @api.post("/webhooks", tags=[WEBHOOKS], responses={201: p.NewWebhookOut, **problems(409, 413, 415)})
    @authenticated()
    def create_webhook_(body: p.WebhookIn) -> Response:
        """Make a webhook: `webhook:<environment>` for one of an environment, else an admin's. Shows its secret once."""
        webhook, secret = create_webhook(
            parts.store, parts.webhooks, parts.clock, principal(), body.environment, _fields(body), body.secret
        )
        location = {"Location": f"/v1/webhooks/{webhook.id}"}
        return answer(p.NewWebhookOut(**_plain(webhook), secret=secret), 201, {**NOT_STORED, **location})

    @api.get("/webhooks", tags=[WEBHOOKS], responses={200: p.WebhooksOut})
    @authenticated()
    def list_webhooks_() -> Response:
        """The webhooks that the token may manage, without their secrets."""
        found = list_webhooks(parts.store, principal())
        return answer(p.WebhooksOut(webhooks=[p.WebhookOut(**_plain(webhook)) for webhook in found]))

    @api.get(WEBHOOK, tags=[WEBHOOKS], responses={200: p.WebhookOut})
    @authenticated()
    def get_webhook_(path: p.WebhookPath) -> Response:
        """One webhook, without its secret."""
        return answer(p.WebhookOut(**_plain(get_webhook(parts.store, principal(), path.webhook_id))))

    @api.put(WEBHOOK, tags=[WEBHOOKS], responses={200: p.WebhookOut, **problems(409, 413, 415)})
    @authenticated()
    def change_webhook_(path: p.WebhookPath, body: p.WebhookChangeIn) -> Response:
        """Change a webhook; what is left out gets its default. Its environment stays."""
        changed = change_webhook(parts.store, parts.webhooks, parts.clock, principal(), path.webhook_id, _fields(body))
        return answer(p.WebhookOut(**_plain(changed)))

    @api.delete(WEBHOOK, tags=[WEBHOOKS], responses={204: None})
    @authenticated()
    def delete_webhook(path: p.WebhookPath) -> Response:
        """Remove a webhook, with what was still to be delivered."""
        remove_webhook(parts.store, parts.clock, principal(), path.webhook_id)
        return no_content()

    @api.post(f"{WEBHOOK}/secret", tags=[WEBHOOKS], responses={200: p.NewWebhookOut, **problems(409, 413, 415)})
    @authenticated()
    def rotate_secret_(path: p.WebhookPath, body: p.SecretIn) -> Response:
        """Give a webhook another secret, shown once; for a while the one before signs as well."""
        webhook, secret = rotate_secret(
            parts.store, parts.webhooks, parts.clock, principal(), path.webhook_id, body.secret, body.overlap_hours
        )
        return answer(p.NewWebhookOut(**_plain(webhook), secret=secret), headers=NOT_STORED)


def add_deliveries(api: APIBlueprint, parts: Parts) -> None:
    @api.post(f"{WEBHOOK}/test", tags=[WEBHOOKS], responses={202: p.DeliveryOut, **problems(409)})
    @authenticated()
    def test_webhook(path: p.WebhookPath) -> Response:
        """Send an event `webhook.test` to this webhook alone, whatever events it asks for."""
        return _queued(send_test(parts.store, parts.clock, principal(), path.webhook_id))

    @api.get(DELIVERIES, tags=[WEBHOOKS], responses={200: p.DeliveriesOut})
    @authenticated()
    def list_deliveries_(path: p.WebhookPath, query: p.DeliveryListQuery) -> Response:
        """What was sent and what came back, newest first."""
        found = list_deliveries(parts.store, principal(), path.webhook_id, query.limit, query.before)
        return answer(p.DeliveriesOut(deliveries=[p.DeliveryOut.model_validate(item) for item in found]))

    @api.get(f"{DELIVERIES}/<delivery_id>", tags=[WEBHOOKS], responses={200: p.DeliveryOut})
    @authenticated()
    def get_delivery_(path: p.DeliveryPath) -> Response:
        """One delivery with all its attempts."""
        found = get_delivery(parts.store, principal(), path.webhook_id, path.delivery_id)
        return answer(p.DeliveryOut.model_validate(found))

    @api.post(f"{DELIVERIES}/<delivery_id>/redeliver", tags=[WEBHOOKS], responses={202: p.DeliveryOut, **problems(409)})
    @authenticated()
    def redeliver_(path: p.DeliveryPath) -> Response:
        """Send an event again, whatever became of it."""
        return _queued(redeliver(parts.store, parts.clock, principal(), path.webhook_id, path.delivery_id))


def _queued(delivery: Delivery) -> Response:
    location = f"/v1/webhooks/{delivery.webhook_id}/deliveries/{delivery.id}"
    return answer(p.DeliveryOut.model_validate(delivery), 202, {"Location": location})


def _fields(body: p.WebhookChangeIn) -> WebhookFields:
    return WebhookFields(body.url, tuple(body.events), body.model, body.description, body.enabled)


def _plain(webhook: Webhook) -> dict[str, object]:
    shown = {name: value for name, value in vars(webhook).items() if name not in ("secret", "previous")}
    return {**shown, "events": list(webhook.events)}
