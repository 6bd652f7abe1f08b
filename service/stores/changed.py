"""What is said of an object that is not the one that was meant."""

from __future__ import annotations

from service.domain.errors import Conflict


def changed(key: str) -> Conflict:
    return Conflict(f"The object {key!r} has changed since it was looked at; try again.", key=key)
