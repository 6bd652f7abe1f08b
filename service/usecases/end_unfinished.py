"""Forget multipart uploads that nobody completes any more: of large artifacts, and of processes that ended."""

from __future__ import annotations

from datetime import timedelta

from service.domain.layout import ARCHIVES, PENDING, PROXIED, VERSIONS
from service.domain.uploading import LIFETIME
from service.usecases.object_ports import PartStore
from service.usecases.ports import Clock

AGE = LIFETIME + timedelta(hours=24)
"""Longer than an upload of an archive may take, which is forgotten by its row."""


def end_unfinished(parts: PartStore, clock: Clock) -> int:
    """Answers with the number of uploads that were forgotten; nothing of a drop zone is."""
    before = clock() - AGE
    found = [item for prefix in (PROXIED, ARCHIVES, PENDING, VERSIONS) for item in parts.unfinished(prefix, before)]
    for key, upload in found:
        parts.end(key, upload)
    return len(found)
