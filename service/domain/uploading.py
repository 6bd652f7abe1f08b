"""An upload: one archive on its way into the bucket, part by part, with URLs that need no token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MIB = 1024 * 1024
MAX_PARTS = 1000
"""As many as one answer lists, of S3 and of ours."""
MIN_PART = 16 * MIB
"""Of all parts but the last; S3 takes none below 5 MiB."""
MAX_OPEN = 100
LIFETIME = timedelta(hours=24)


class UploadState(StrEnum):
    """`ending` when its bytes are being deleted; the row goes after them."""

    OPEN = "open"
    COMPLETED = "completed"
    ENDING = "ending"


@dataclass(frozen=True)
class Upload:
    """Its id becomes that of the import. `multipart` is the store's id of it; `sha256` is what was announced.

    `size` and `part_size` are bytes.
    """

    id: str
    workspace: str
    size: int
    part_size: int
    sha256: str
    multipart: str
    state: UploadState
    created_by: str
    created_at: datetime
    expires_at: datetime

    @property
    def count(self) -> int:
        return -(-self.size // self.part_size)

    def offset(self, number: int) -> int:
        """Of a part's first byte; parts are numbered from 1."""
        return (number - 1) * self.part_size

    def length(self, number: int) -> int:
        return min(self.part_size, self.size - self.offset(number))


def part_size(size: int) -> int:
    """MIN_PART, or the whole MiB with which MAX_PARTS parts hold `size` bytes."""
    return max(MIN_PART, -(-size // (MAX_PARTS * MIB)) * MIB)
