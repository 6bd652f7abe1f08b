"""Generated requests, sound and broken, of every operation: no 5xx, and every answer is as documented."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import schemathesis
from flask.testing import FlaskClient
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events


def test_every_operation(filled: FlaskClient) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "seed": 7,
            "headers": {"Authorization": filled.environ_base["HTTP_AUTHORIZATION"]},
            "generation": {"max-examples": 10, "deterministic": True, "database": "none", "no-shrink": True, "with-security-parameters": False},
            "phases": {"stateful": {"enabled": False}, "examples": {"enabled": False}},
            "checks": {"ignored_auth": {"enabled": False}},
            "suppress-health-check": ["all"],
        }
    )
    schema = schemathesis.openapi.from_wsgi("/docs/openapi.json", filled.application, config=config)
    schema = schema.exclude(method="DELETE", path="/v1/tokens/{token_id}")
    statuses = Counter()
    t = time.time()
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            n = len(event.recorder.cases)
            print(round(time.time() - t, 1), event.phase, event.label, event.status, n, event.skip_reason)
            for case_id, checks in event.recorder.checks.items():
                for check in checks:
                    if check.failure_info:
                        i = event.recorder.interactions[case_id]
                        c = event.recorder.cases[case_id].value
                        print("      REQ", c.path_parameters, c.query, str(c.body)[:300], i.response.status_code, i.response.text[:300])
                        print("   ", check.name, str(check.failure_info.failure)[:1].replace("\n", " | "))
            for i in event.recorder.interactions.values():
                if i.response: statuses[i.response.status_code] += 1
        elif isinstance(event, (events.NonFatalError, events.FatalError)):
            print("!!", event)
            print(getattr(event, "info", None), getattr(event, "value", None))
    print(statuses)
    assert 0
