"""The environment variables that the service reads, found out from the service itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from service.settings import Settings, migration_database_url
from tests.deploy.build_image import ROOT

REQUIRED = {
    "MODEL_REGISTRY_DATABASE_URL": "postgresql://registry:secret@db/registry",
    "MODEL_REGISTRY_S3_ENDPOINT": "http://s3:9000",
    "MODEL_REGISTRY_S3_ACCESS_KEY": "the-access-key",
    "MODEL_REGISTRY_S3_SECRET_KEY": "the-secret-key",
    "MODEL_REGISTRY_S3_BUCKET": "models",
    "MODEL_REGISTRY_PUBLIC_URL": "https://registry.example.com",
}


OWNER = "MODEL_REGISTRY_MIGRATION_DATABASE_URL"
"""For the migration alone."""


class _Recording(Mapping[str, str]):
    """The required variables, which remembers the name of everything that was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return REQUIRED[name]

    def __iter__(self) -> Iterator[str]:
        return iter(REQUIRED)

    def __len__(self) -> int:
        return len(REQUIRED)


def variables_read() -> set[str]:
    """What `Settings` asks for, and what other modules name.

    Left out are the parts of one machine, the command line, the puller and snippets: what those read is for clients.
    """
    environ = _Recording()
    Settings.from_env(environ)
    migration_database_url(environ)
    named: set[str] = set()
    for path in (ROOT / "service").rglob("*.py"):
        if not {"embedded", "pulling"} & set(path.parts) and path.name not in ("cli.py", "snippets.py"):
            named |= set(re.findall(r"\bMODEL_REGISTRY_[A-Z0-9_]+\b", path.read_text()))
    return environ.asked | named
