"""An import: one archive of one workspace, taken in exactly once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from service.domain.identity import Principal
from service.domain.layout import archive_key

ARCHIVE_KEPT = timedelta(days=14)
"""After that an import that failed is not tried again, and its archive is garbage."""


class ImportState(StrEnum):
    RECEIVED = "received"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in _OPEN

    @property
    def ends(self) -> tuple[ImportState, ...]:
        """The states from which an import comes to this final one: one that failed can still be cancelled."""
        return (*_OPEN, ImportState.FAILED) if self is ImportState.CANCELLED else _OPEN


_OPEN = (ImportState.RECEIVED, ImportState.RUNNING)


@dataclass(frozen=True)
class ImportOptions:
    """What the caller asked for beside the archive; empty means: as the export says.

    Args:
        experiment_name: the central name of the experiment instead of `<workspace>/<name>`.
        model_name: the central name of the registered model instead of the exported one.
        model_prefix: what the central names of all models of the export begin with.
        register: register the model at this artifact path of each run that holds it.
        environment: apply the source's stages to this environment.
    """

    experiment_name: str = ""
    model_name: str = ""
    model_prefix: str = ""
    register: str = ""
    environment: str = ""

    def key(self, workspace: str, archive_digest: str) -> str:
        """Equal for equal requests: the same archive with the same options is the same import."""
        text = json.dumps([workspace, archive_digest, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class ImportSource:
    """Where an import's bytes are, when its archive was not the body of a request.

    Args:
        sha256: what the archive that was uploaded directly was announced to have, in hex; empty: nothing was.
        key: an archive in the workspace's drop zone, and `etag` the put of it that is meant.
        prefix: a folder of the drop zone, read file by file as its listing was when the import was received.
        shared_key: an Idempotency-Key that another import has; whoever hashes the archive tells whether it is the same.
    """

    sha256: str = ""
    key: str = ""
    etag: str = ""
    prefix: str = ""
    shared_key: str = ""


@dataclass(frozen=True)
class Import:
    """`report` is set once done, `problem` (a problem document) once refused or failed.

    `created_by_id` is the token's id. `progress` counts rows and bytes already taken in; sizes are bytes.
    `archive_digest` is empty, and `key` a provisional one, until the worker has hashed an archive whose bytes the
    service has not seen before.
    """

    id: str
    workspace: str
    key: str
    state: ImportState
    options: ImportOptions
    archive_digest: str
    archive_size: int
    created_by: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    progress: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None
    source: ImportSource = ImportSource()
    created_by_id: str = ""
    request_id: str = ""

    @classmethod
    def received(
        cls,
        by: Principal,
        at: datetime,
        id: str,
        workspace: str,
        key: str,
        options: ImportOptions,
        digest: str,
        size: int,
        source: ImportSource = ImportSource(),
    ) -> Import:
        return cls(
            id=id,
            workspace=workspace,
            key=key,
            state=ImportState.RECEIVED,
            options=options,
            archive_digest=digest,
            archive_size=size,
            created_by=by.name,
            created_by_id=by.token_id,
            request_id=by.request_id,
            created_at=at,
            source=source,
        )

    @property
    def requester(self) -> Principal:
        """Whoever sent the archive, as the one who does what the import does."""
        return Principal(self.created_by_id, self.created_by, (), self.request_id)

    def may_be(self, known: Import) -> bool:
        """Whether this one, whose archive nobody has hashed yet, may turn out to be the same import as `known`."""
        if self.archive_digest or self.options != known.options:
            return False
        announced = f"sha256:{self.source.sha256}"
        return "" in (self.source.sha256, known.archive_digest) or announced == known.archive_digest

    @property
    def archive_key(self) -> str:
        """Not of an import from a prefix."""
        return self.source.key or archive_key(self.id)

    def archive_is_kept(self, now: datetime) -> bool:
        """Whether the import may still need it, as far as that is a matter of time."""
        failed = self.state is ImportState.FAILED
        return not failed or self.finished_at is None or self.finished_at >= now - ARCHIVE_KEPT
