"""Host names under which the hosted registry answers: exact ones, so that no other site's name leads a browser here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}))(?::([0-9]{1,5}))?")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class HostNames:
    """`names` in lower case: `host`, which stands for it with any port, or `host:port`."""

    names: frozenset[str]

    @classmethod
    def parse(cls, words: Sequence[str]) -> HostNames:
        """Raises ValueError with the word that is neither `host` nor `host:port`, or when there is none."""
        for word in words:
            if not _HOST.fullmatch(word.lower()):
                raise ValueError(word)
        if not words:
            raise ValueError("")
        return cls(frozenset(word.lower() for word in words))

    def allow(self, header: str) -> bool:
        """Whether a request with this Host header is answered."""
        match = _HOST.fullmatch(header.lower())
        return match is not None and (match[0] in self.names or match[1] in self.names)
