"""Which files a version may have: only such as every puller is able and willing to place on a disk."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.domain.errors import InvalidInput

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What terminals, logs and scripts take for more than a character of a name, and what is no Unicode."""
NAME_BYTES = 255
"""Of one segment; no common file system allows a longer name."""


def wrong_with(path: str) -> str:
    """Why no file of a version can be at the path; '' when one can. The text completes the sentence "It has …"."""
    if CONTROL.search(path):
        return "a control character in its name"
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return "an empty, '.' or '..' segment in its path"
    if any(len(segment.encode()) > NAME_BYTES for segment in segments):
        return f"more than {NAME_BYTES} bytes between two slashes"
    return ""


def check_files(paths: Iterable[str]) -> None:
    """The paths can be the files of one version.

    Raises:
        InvalidInput: naming the first `file` that cannot be placed, or not beside the others.
    """
    files: set[str] = set()
    for path in sorted(paths):
        if wrong := wrong_with(path):
            raise _refused(path, f"has {wrong}")
        if path in files:
            raise _refused(path, "is there twice")
        files.add(path)
    for path in sorted(files):
        folder = path
        while folder := folder.rpartition("/")[0]:
            if folder in files:
                raise _refused(folder, "is a file and a folder at once")


def _refused(path: str, what: str) -> InvalidInput:
    shown = repr(path if len(path) <= 200 else path[:200] + "…")
    return InvalidInput(
        f"The file {shown} {what}: no puller would place it. Log it under another name.", file=shown[1:-1]
    )
