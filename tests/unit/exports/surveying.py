"""An export read in one pass."""

from __future__ import annotations

import hashlib

from service.exports.survey import Survey, survey
from tests.small_exports import Files, members

OTHER_RUN = "f" * 32
OTHER = "m-" + "f" * 32


def surveyed(files: Files) -> Survey:
    return survey(members(files), lambda _: None)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
