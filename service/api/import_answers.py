"""How an import is answered, by whichever way it came in."""

from __future__ import annotations

import re
import time
from dataclasses import asdict

from flask import Response

from service.api import import_payloads as ip
from service.api.answers import answer
from service.api.problems import problem_response
from service.domain.errors import Conflict
from service.domain.importing import Import, ImportState
from service.usecases.receive_import import Received
from service.wiring import Parts

MAX_WAIT = 300
POLL = 0.1


def received_answer(parts: Parts, received: Received, prefer: str) -> Response:
    """202 with its Location; or, when `prefer` says to wait and it becomes final, 201 (200 replayed) or its problem."""
    import_ = _wait(parts, received.import_, _preferred_wait(prefer))
    headers = {"Location": f"/v1/imports/{import_.id}"}
    if import_.state in (ImportState.REFUSED, ImportState.FAILED) and import_.problem:
        response = problem_response({**import_.problem, "import": import_.id})
        response.headers.update(headers)
        return response
    if import_.state is ImportState.CANCELLED:
        raise Conflict("The import was cancelled while its answer was waited for.", **{"import": import_.id})
    if not import_.state.final:
        return answer(shown_import(import_), 202, headers)
    # The worker may have found that another import holds the same archive.
    replayed = received.replayed or import_.id != received.import_.id
    return answer(shown_import(import_), 200 if replayed else 201, headers)


def shown_import(import_: Import) -> ip.ImportOut:
    source = {name: value for name, value in asdict(import_.source).items() if name in ("key", "prefix") and value}
    return ip.ImportOut(**{**vars(import_), "options": asdict(import_.options), "s3": source or None})


def _preferred_wait(prefer: str) -> float:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most MAX_WAIT; 0 without one."""
    match = re.search(r"(?:^|[,;\s])wait=(\d{1,6})", prefer)
    return min(int(match[1]), MAX_WAIT) if match else 0


def _wait(parts: Parts, import_: Import, seconds: float) -> Import:
    until = time.monotonic() + seconds
    while not import_.state.final and time.monotonic() < until:
        time.sleep(POLL)  # a greenlet's sleep: it holds neither a worker nor a connection
        with parts.store.transaction() as tx:
            import_ = tx.imports.get(import_.id)
    return import_
