"""Answers requests for the hosted registry only under the host names that the operator allows.

A browser that is led here by another site's name (DNS rebinding) would bring that site's scripts along.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from service.domain.host_names import HostNames

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
REFUSAL = json.dumps(
    {
        "error_code": "BAD_REQUEST",
        "message": "This host name is not served. MODEL_REGISTRY_ALLOWED_HOSTS lists those that are.",
    }
).encode()


def only_for(hosts: HostNames, application: Wsgi) -> Wsgi:
    """`application` for requests whose Host is allowed; 421 in MLflow's form for the others."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if hosts.allow(environ.get("HTTP_HOST", "")):
            return application(environ, start_response)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(REFUSAL)))]
        start_response("421 Misdirected Request", headers)
        return [REFUSAL]

    return answer
