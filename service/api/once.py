"""Answers that are written down with what they tell of, and given again."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request
from pydantic import BaseModel

from service.api.auth import principal
from service.usecases.answer_once import Key, answer_once
from service.usecases.ports import Transaction
from service.usecases.stage_ports import Answer
from service.wiring import Parts

KEPT = ("Content-Type", "Location", "ETag", "Cache-Control", "X-Model-Digest")


def once(
    parts: Parts,
    key: str | None,
    body: BaseModel,
    work: Callable[[Transaction], Response],
    *,
    dry_run: bool = False,
) -> Response:
    """Do `work` in one transaction, once for each Idempotency-Key; `body` is the request's."""
    asked = {
        "method": request.method,
        "address": request.full_path,
        "if_match": request.headers.get("If-Match"),
        "body": body.model_dump(mode="json"),
    }
    answer = answer_once(
        parts.store,
        parts.clock,
        principal(),
        None if key is None else Key(key, asked),
        lambda tx: _kept(work(tx)),
        dry_run=dry_run,
    )
    response = Response(answer.body, answer.status)
    response.headers.update(dict(answer.headers))
    return response


def _kept(response: Response) -> Answer:
    headers = {name: response.headers[name] for name in KEPT if name in response.headers}
    return Answer(response.status_code, response.get_data(), headers)
