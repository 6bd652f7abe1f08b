"""What MLflow's clients send when a large artifact goes to the object store directly, by parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from service.domain.errors import InvalidInput
from service.usecases.object_ports import PartInfo

MAX_PARTS = 10_000
"""Of one object, by S3's rules."""
_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")
_ETAG = re.compile(r'"?[0-9A-Za-z_-]{1,200}"?')


def uploaded_path(folder: str, body: Mapping[str, Any]) -> str:
    """Below `folder`, with the name of the client's own file, of which it sends the whole path."""
    local = body.get("path")
    if not isinstance(local, str):
        raise InvalidInput("The parameter 'path' is needed.", field="path")
    name = re.split(r"[/\\]" if _WINDOWS.match(local) else "/", local)[-1]
    if not name:
        raise InvalidInput("The path of an artifact ends with its name.", field="path")
    return f"{folder}/{name}"


def part_count(body: Mapping[str, Any]) -> int:
    count = body.get("num_parts", 1)
    if isinstance(count, str) and count.isascii() and count.isdigit() and len(count) < 10:
        count = int(count)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_PARTS:
        raise InvalidInput(f"num_parts must be a number from 1 to {MAX_PARTS}.", field="num_parts")
    return count


def upload_id(body: Mapping[str, Any]) -> str:
    upload = body.get("upload_id")
    if not isinstance(upload, str) or not 0 < len(upload) <= 1024 or not upload.isprintable():
        raise InvalidInput("The parameter 'upload_id' is needed.", field="upload_id")
    return upload


def uploaded_parts(body: Mapping[str, Any]) -> list[PartInfo]:
    """In their order; sizes are not told."""
    sent = body.get("parts")
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_PARTS:
        raise InvalidInput(f"parts must be a list of 1 to {MAX_PARTS} parts.", field="parts")
    found = sorted((_part(part) for part in sent), key=lambda part: part.number)
    if [part.number for part in found] != list(range(1, len(found) + 1)):
        raise InvalidInput("The parts must be numbered from 1 on, without a gap.", field="parts")
    return found


def _part(sent: object) -> PartInfo:
    match sent:
        case {"part_number": int(number), "etag": str(etag)} if _ETAG.fullmatch(etag):
            return PartInfo(number, 0, etag.strip('"'))
    raise InvalidInput("Each part needs its part_number and the etag that the store gave it.", field="parts")
