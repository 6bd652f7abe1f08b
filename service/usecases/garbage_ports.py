"""What collecting garbage needs of the rows; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Claims(Protocol):
    """What imports and registrations are about to refer to: nothing of it is collected."""

    def claim(self, holder: str, folders: Collection[str], until: datetime) -> None:
        """Keep the folders until they are released or `until`, longer if `holder` is an import that runs.

        Takes the marks of their digests away, and waits for whoever is deleting. Once this is committed, what is in
        the folders stays; what was in them before may be gone by then, unless a row refers to it.
        """
        ...

    def release(self, holder: str) -> None: ...


@dataclass(frozen=True)
class Unneeded:
    """A version's bytes that nothing needs; `marked_at` is since when, as far as that was noticed."""

    digest: str
    files: int
    size: int
    marked_at: datetime | None


class Garbage(Protocol):
    """Manifests, and which of them are needed.

    A digest is needed by a version that is not deleted; by a stage that holds it, or held it at or after `since`; by a
    pending promotion; by the lease of an instance; by a claim.
    """

    def unneeded(self, now: datetime, since: datetime) -> Sequence[Unneeded]:
        """By digest."""
        ...

    def mark(self, now: datetime, since: datetime) -> None:
        """Mark each digest that is not needed, unless it is marked already, and take the mark from every other one.

        Claims that do not count any more are forgotten.
        """
        ...

    def remove(self, digest: str, now: datetime, since: datetime, before: datetime) -> bool:
        """Delete the manifest if it was marked at or before `before` and is not needed now either.

        Nothing can come to need it, or be claimed, until the transaction ends.
        """
        ...


class Checks(Protocol):
    """When the stored bytes of each digest were last verified."""

    def due(self, before: datetime, limit: int, after: str) -> Sequence[str]:
        """Digests, in order from behind `after`, that were not verified at or after `before`."""
        ...

    def checked(self, digest: str, at: datetime) -> None: ...

    def versions(self, digest: str) -> Sequence[tuple[str, int]]:
        """Model and number of every version with these bytes, in order."""
        ...
