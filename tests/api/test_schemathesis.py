"""Generated requests, sound and broken, of every operation: no 5xx, and every answer is as documented."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.engine.recorder import Request

from service.wiring import Parts
from tests.api.problems import PRIVATE
from tests.api.traces import Unchanged

TOKEN = "/v1/tokens/{token_id}"
"""Apart from the rest: ids of earlier answers are used again, and the own token's would end everything."""
UNREAD = ("/pull.pyz", "/v1/environments/{environment}/events")
"""A zip, which the checks would read as text, and a stream, which they read by a schema that OpenAPI 3.1 cannot say."""
BEYOND = (
    "/v1/workspaces/{workspace}/imports",
    "/v1/workspaces/{workspace}/uploads",
    "/v1/workspaces/{workspace}/uploads/{upload_id}/complete",
    "/v1/environments/{environment}",
    "/v1/environments/{environment}/policy",
    "/v1/environments/{environment}/models/{model}/policy",
    "/v1/models/{model}/diff",
    "/v1/webhooks",
    "/v1/webhooks/{webhook_id}",
    "/v1/webhooks/{webhook_id}/secret",
    "/v1/environments/{environment}/freeze",
    "/v1/environments/{environment}/models/{model}/promotions",
    "/v1/environments/{environment}/models/{model}/stages/{stage}",
    "/v1/environments/{environment}/models/{model}/stages/{stage}/rollback",
    "/v1/environments/{environment}/stages/{stage}",
)
"""What a schema cannot say: what an archive is, the operator's limits, that parameters belong together or have no case,
which stages there are, what a time zone is, which time lies in the future, what the ETag of a stage is, that a host has
a public address, that Base64 is of some bytes.
"""
SIGNED = re.compile(r'"url":"[^"]*"')
"""Where clients are to find the object store, which is told on purpose."""
SENT_BY_BROWSERS = ("origin", "sec-fetch-site")
"""Headers by which a page of another site is refused, whoever asks. Undeclared names are generated too, out of the
constants of whichever modules a process has loaded, so that these come up in some runs and not in others.
"""


def config(client: FlaskClient, examples: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": 7,
            "headers": {"Authorization": client.environ_base["HTTP_AUTHORIZATION"]},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                "no-shrink": True,
                "with-security-parameters": False,
            },
            "phases": {"stateful": {"enabled": False}, "examples": {"enabled": False}},
            # Who may do what has tests of its own, and this check does not run without a server.
            "checks": {"ignored_auth": {"enabled": False}},
            "operations": [
                {"include-path": path, "checks": {"positive_data_acceptance": {"enabled": False}}} for path in BEYOND
            ],
            "suppress-health-check": ["all"],
        }
    )


def private(request: Request, answer: str) -> set[str]:
    """What the answer tells and should not; fields and names of the request come back, and may be any word."""
    told = {found.lower() for found in PRIVATE.findall(SIGNED.sub("", answer))}
    body = (request.body or b"").decode(errors="replace")
    sent = f"{unquote(request.uri.removeprefix('http://localhost'))} {body}".lower()
    return {word for word in told if word not in sent}


def failures(schema: Any, statuses: Counter[int]) -> Iterator[str]:
    """Run the generated requests; yield every failed check, with its request."""
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"{event}"
        if not isinstance(event, events.ScenarioFinished):
            continue
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is not None:
                statuses[interaction.response.status_code] += 1
                if told := private(interaction.request, interaction.response.text):
                    yield f"{event.label}: tells {told} in {interaction.response.text}"
            for check in recorder.checks.get(case_id, ()):
                if check.failure_info is not None:
                    yield f"{check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"


@pytest.fixture(autouse=True)
def _nobody_waits(parts: Parts) -> None:
    """As in a process that is to stop: waits and streams of events end as soon as they have begun."""
    parts.resolver.following.stop()


def by_a_program(_: schemathesis.HookContext, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (headers or {}).items() if name.lower() not in SENT_BY_BROWSERS}


def document(client: FlaskClient, examples: int) -> Any:
    app: Flask = client.application
    schema = schemathesis.openapi.from_wsgi("/docs/openapi.json", app, config=config(client, examples))
    schema.hook("map_headers")(by_a_program)
    return schema.exclude(path=list(UNREAD))


@pytest.mark.timeout(900)
def test_every_operation(filled: FlaskClient) -> None:
    statuses: Counter[int] = Counter()
    schema = document(filled, 15).exclude(path=TOKEN)
    assert not list(failures(schema, statuses))
    assert all(statuses[status] for status in (200, 201, 204, 404, 405, 415, 422)), statuses
    assert not statuses[401] + statuses[403], statuses


def test_deleting_tokens(filled: FlaskClient) -> None:
    statuses: Counter[int] = Counter()
    assert not list(failures(document(filled, 15).exclude(lambda context: context.operation.path != TOKEN), statuses))
    assert statuses[404], statuses


def test_nothing_is_left_by_who_may_do_nothing(filled: FlaskClient, nothing_left: Unchanged) -> None:
    filled.environ_base["HTTP_AUTHORIZATION"] = "Bearer mreg_wrong"
    statuses: Counter[int] = Counter()
    with nothing_left():
        assert not list(failures(document(filled, 3), statuses))
    assert not statuses.keys() - {200, 401, 405}, statuses
