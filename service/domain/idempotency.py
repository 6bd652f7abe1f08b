"""What becomes of an Idempotency-Key that another import has."""

from __future__ import annotations

from service.domain.errors import ConcurrentChange, Conflict
from service.domain.importing import Import


def key_reused(key: str | None) -> Conflict:
    return Conflict(
        "This Idempotency-Key was already used with another archive or other options; use a new key.",
        header="Idempotency-Key",
        key=key or "",
    )


def key_is_elsewhere(holder: Import, key: str) -> Conflict:
    """An archive was hashed, and `holder` has its key: is that another archive, or is nobody there yet?"""
    if holder.archive_digest:
        return key_reused(key)
    return ConcurrentChange("The archive that has the same Idempotency-Key was not hashed yet.")
