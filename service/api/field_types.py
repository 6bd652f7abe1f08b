"""Types of the fields of requests, and what the document tells about those that the domain checks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, JsonValue, StringConstraints

from service.domain.names import SLUG_PATTERN, STAGE_PATTERN

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T", re.ASCII)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Storable = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Text that a database holds: without NUL."""
MAYBE_2_0 = BeforeValidator(_whole)
"""For a JSON integer, which may be written 2.0. Last, so that the document knows the limits before it."""


def _date_first(value: object) -> object:
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("must be a time like 2026-03-01T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """Postgres takes no offset of 16 hours and more."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time of the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_date_first), AfterValidator(_in_utc)]
"""A time as RFC 3339 writes it, in UTC from here on; seconds since 1970 are none."""


def told(pattern: str) -> dict[str, JsonValue]:
    """What the document says a text must be like; the domain checks it, in words of its own."""
    return {"pattern": pattern}


NEW_SLUG = told(r"^(?!.*\.\.)" + SLUG_PATTERN.removeprefix("^"))
NEW_STAGE = told(r"^(?![Nn][Oo][Nn][Ee]$)" + STAGE_PATTERN.removeprefix("^"))
NEW_MODEL = told(r"^(?!\.{1,2}$)[^/:\x00-\x1f\x7f]*[^/:\x00-\x1f\x7f\s][^/:\x00-\x1f\x7f]*$")
SCOPE = told(rf"^(admin|audit|browse|track|(import|read|promote|approve|webhook):(\*|{SLUG_PATTERN[1:-1]}))$")
URL = told(r"^(https?://[^\x00]*)?$")
WEBHOOK_URL = told(r"^https?://[!-\[\]-~]+$")
WEBHOOK_SECRET = told(r"^whsec_[A-Za-z0-9+/]{32,86}={0,2}$")
NOT_BLANK = told(r"^[^\x00]*[^\x00\s][^\x00]*$")
