"""What a version says that it needs: requirements.txt and conda.yaml, read as data, never resolved."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.exports.plain_yaml import read_yaml

MAX_SIZE = 256 * 1024
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(.*)", re.DOTALL)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def read_requirements(data: bytes) -> dict[str, str] | None:
    """What is asked of each package, by its name as the package index writes it; options and URLs by their first word.

    Credentials in URLs are left out. None when the bytes are too many or no text.
    """
    text = _text(data)
    if text is None:
        return None
    joined = re.sub(r"\\\r?\n", " ", text)
    return _requirements(re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())


def read_conda(data: bytes) -> tuple[dict[str, str], dict[str, str]] | None:
    """Conda's own packages, and those it leaves to pip. None when the bytes cannot be read as such a file."""
    document = read_yaml(data) if len(data) <= MAX_SIZE else None
    listed = document.get("dependencies") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    own = _requirements(item for item in listed if isinstance(item, str))
    pip = [item["pip"] for item in listed if isinstance(item, dict) and isinstance(item.get("pip"), list)]
    return own, _requirements(item for items in pip for item in items if isinstance(item, str))


def _requirements(lines: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        line = _CREDENTIALS.sub("", line)
        match = _REQUIREMENT.fullmatch(line)
        if match and not match[2].startswith("://"):
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2].strip()
        elif line:
            name, _, rest = line.partition(" ")
            found[name] = f"{found[name]} {rest.strip()}" if name in found else rest.strip()
    return found


def _text(data: bytes) -> str | None:
    if len(data) > MAX_SIZE:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
