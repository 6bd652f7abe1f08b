"""Exports that are sent to be imported, in every packing, and what the answers look like."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zstandard

from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.matching import ID, NOW
from tests.small_exports import encoded, packed

IMPORTS = "/v1/workspaces/dev/imports"
NO_OPTIONS = {"experiment_name": "", "model_name": "", "model_prefix": "", "register": "", "environment": ""}


def received(**fields: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "workspace": "dev",
        "state": "received",
        "options": NO_OPTIONS,
        "archive_digest": "sha256:" + hashlib.sha256(ORDERS).hexdigest(),
        "archive_size": len(ORDERS),
        "s3": None,
        "created_by": "test",
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        "attempts": 0,
        "progress": {},
        "report": None,
        "problem": None,
        **fields,
    }


def counted(created: int, **others: int) -> dict[str, int]:
    counts = {"created": created, "updated": 0, "skipped": 0, "failed": 0, **others}
    return {**counts, "found": sum(counts.values())}


@contextmanager
def worker(run_imports: Callable[[], int]) -> Iterator[None]:
    """Does the worker's work beside the requests of the block."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            run_imports()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def archives(parts: Parts) -> list[str]:
    return [info.key for info in parts.objects.list("imports/")]


def tar_of(files: dict[str, Any]) -> bytes:
    return packed(files, "w")


def zip_of(files: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, encoded(content))
    return target.getvalue()


PACKINGS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "tar": tar_of,
    "tar.gz": packed,
    "tar.zst": lambda files: zstandard.compress(tar_of(files)),
    "zip": zip_of,
}
