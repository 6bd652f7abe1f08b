"""What the use cases need of imports and uploads; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from service.domain.importing import Import, ImportState
from service.domain.uploading import Upload


class Imports(Protocol):
    def add(self, new: Import, idempotency_key: str | None) -> Import:
        """Insert and queue, or answer with the live import of the same key (compare ids).

        Raises Conflict when `idempotency_key` was used with another archive or other options; `identify` does so when
        that cannot be told yet.
        """
        ...

    def get(self, import_id: str) -> Import:
        """Raises NotFound(kind="import")."""
        ...

    def list(self, workspace: str | None, limit: int, before: str | None) -> Sequence[Import]:
        """Newest first; `before` is the id to go on after."""
        ...

    def start(self, import_id: str, at: datetime) -> Import | None:
        """received or running -> running, one attempt more; None when it is already final.

        The number of the attempt is its fence: what an earlier one writes afterwards is not taken.
        """
        ...

    def identify(self, import_id: str, attempt: int, archive_digest: str, key: str) -> Import:
        """Give a running import its archive's digest and key; or answer with the live import that has the key.

        In that case (compare ids) this one is final, and `get` answers with the other. A superseded attempt
        changes nothing. Raises NotFound; Conflict when its idempotency key turns out to be another archive's;
        ConcurrentChange when it cannot be told yet which import has the key.
        """
        ...

    def progress(self, import_id: str, attempt: int, progress: Mapping[str, int]) -> bool:
        """False, and nothing written, when the import is final or a later attempt has begun."""
        ...

    def finish(
        self,
        import_id: str,
        state: ImportState,
        at: datetime,
        report: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> bool:
        """To a final state; false, and nothing written, when it already has one, but for `failed` -> `cancelled`.

        With `attempt`, also when a later one has begun.
        """
        ...

    def retry(self, import_id: str) -> Import:
        """failed -> received, and queued again.

        Raises NotFound(kind="import"), Conflict when it has not failed or the same request came again meanwhile.
        """
        ...

    def requeue(self) -> Sequence[str]:
        """Queue every open import that has no job; answers with their ids."""
        ...


class Uploads(Protocol):
    def add(self, new: Upload) -> Upload:
        """Insert, or answer with the open one of the workspace with the same size and announced SHA-256."""
        ...

    def get(self, workspace: str, upload_id: str) -> Upload:
        """Raises NotFound(kind="upload"), also for one that is ending or of another workspace."""
        ...

    def count_open(self, workspace: str) -> int: ...

    def complete(self, upload_id: str) -> bool:
        """open -> completed; false, and nothing written, when it is not open."""
        ...

    def end(self, upload_id: str) -> bool:
        """open -> ending; false, and nothing written, when it is not open."""
        ...

    def unfinished(self, before: datetime) -> Sequence[Upload]:
        """Those that are open and expired `before` then, and those that are ending."""
        ...

    def delete(self, upload_id: str) -> None:
        """Forget one that is ending."""
        ...
