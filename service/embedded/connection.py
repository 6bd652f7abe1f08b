"""How a second shell finds the service that runs in a data directory."""

from __future__ import annotations

import json
from pathlib import Path

from service.embedded.files import write_private
from service.embedded.lock import is_held

LOCK = "lock"
FILE = "connection.json"


class NotRunningError(Exception):
    """Nothing runs in this data directory at the moment."""


def save_environ(data: Path, environ: dict[str, str]) -> None:
    """Readable only by the owner: it contains the keys of the object store."""
    write_private(data / FILE, json.dumps(environ, indent=2) + "\n")


def load_environ(data: Path) -> dict[str, str]:
    """The `MODEL_REGISTRY_*` variables of the service that runs in `data`.

    Raises:
        NotRunningError: no service runs there.
        PermissionError: it belongs to another user.
    """
    if not is_held(data / LOCK) or not (data / FILE).exists():
        raise NotRunningError(f"no registry runs in {data}; start it with: model-registry up --data {data}")
    environ: dict[str, str] = json.loads((data / FILE).read_text())
    return environ
