"""Bodies as a server gives them to the application, however long they say they are."""

from __future__ import annotations

import io
from typing import Any

MIB = 1024 * 1024


def raw(body: io.IOBase, length: int | None) -> dict[str, Any]:
    """The body as a server gives it to the application: with its told length, or in chunks of an untold one."""
    if length is None:
        return {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return {"wsgi.input": body, "CONTENT_LENGTH": str(length)}


class Body(io.RawIOBase):
    """256 MiB that begin like a gzip and are made as they are read; counts what is read of them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.count >= 256 * MIB:
            return 0
        size = min(len(buffer), 65536)
        block = (b"\x1f\x8b" if not self.count else b"xx") + b"x" * (size - 2)
        buffer[:size] = block
        self.count += size
        return size
