"""What the use cases need of objects in the bucket; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """`size` in bytes; `etag` as the store gives it, without quotes; `modified` when it was last put, if listed."""

    key: str
    size: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)


class ObjectStore(Protocol):
    """Objects under UTF-8 keys without a leading `/`. A put replaces; every read is of one whole put."""

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        """Store all of `data`; `size` None means unknown. Memory stays flat. Nothing is stored if `data` raises."""
        ...

    def open(
        self, key: str, offset: int = 0, length: int | None = None, etag: str = ""
    ) -> AbstractContextManager[BinaryIO]:
        """Read from `offset`, nothing when that is beyond the end. Raises NotFound(kind="object").

        With an `etag`, raises Conflict when the object is of another put than that.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Raises NotFound(kind="object")."""
        ...

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
        """Objects whose keys begin with `prefix`, in any order; not recursive: by key, with `…/` for each folder.

        A folder has size 0, and is there as long as an object is below it.
        """
        ...

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy inside the store; onto itself nothing changes. Raises NotFound(kind="object")."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Absent keys are fine."""
        ...

    def presign(self, key: str, seconds: int, filename: str = "") -> str:
        """A URL with which anyone may GET the object for `seconds`, at the host clients see."""
        ...

    def check(self) -> None:
        """Raises Unavailable unless the store answers and the bucket is there."""
        ...


@dataclass(frozen=True)
class PartInfo:
    """A part that is there; `size` in bytes, `etag` without quotes."""

    number: int
    size: int
    etag: str


class PartStore(Protocol):
    """S3's multipart uploads: parts, numbered from 1, that become the object of a key when they are joined."""

    def begin(self, key: str) -> str:
        """The id of a new upload."""
        ...

    def presign(self, key: str, upload: str, number: int, seconds: int) -> str:
        """A URL with which anyone may PUT that part for `seconds`, at the host clients see."""
        ...

    def parts(self, key: str, upload: str) -> Sequence[PartInfo]:
        """At most MAX_PARTS, by number; of one sent twice within a second, any.

        Raises NotFound(kind="upload") when it was joined or ended.
        """
        ...

    def join(self, key: str, upload: str, parts: Sequence[PartInfo]) -> None:
        """Raises NotFound(kind="upload"), or Conflict when the store sees that a part has been replaced since.

        The sizes of the parts are not looked at.
        """
        ...

    def end(self, key: str, upload: str) -> None:
        """Forget the parts; an upload that is not there is fine."""
        ...

    def unfinished(self, prefix: str, before: datetime) -> Iterator[tuple[str, str]]:
        """Key and id of each upload to a key with the prefix that was begun before, and neither joined nor ended."""
        ...
