"""What every answer with a problem looks like."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from werkzeug.test import TestResponse

# What a client has no business to see: tracebacks, SQL, drivers, hosts, paths of this machine.
PRIVATE = re.compile(
    r"Traceback|File \"|\w\.py\b|psycopg|sqlalchemy|urllib3|minio|\bSELECT\b|\bINSERT\b|\bUPDATE\b|registry\.[a-z]+\b"
    r"|127\.0\.0\.1|localhost|bucket-\d|/tmp/|/home/|/usr/|\.venv|0x[0-9a-f]{8}",
    re.IGNORECASE,
)


def problem(response: TestResponse, status: int, slug: str, **where: object) -> dict[str, Any]:
    """Assert that the answer is this problem, whole and private, and answer with its document."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document = response.get_json()
    assert isinstance(document, dict)
    assert set(document) >= {"type", "title", "status", "detail"}
    assert document["type"] == f"urn:model-registry:problem:{slug}"
    assert document["status"] == status
    assert document["title"].strip()
    assert document["detail"].strip()
    assert document["detail"] != HTTPStatus(status).phrase
    assert not PRIVATE.search(response.text), response.text
    assert {name: document.get(name) for name in where} == where, document
    if status == HTTPStatus.UNAUTHORIZED:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    return document
