"""One difference between an export and what the registry answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """`where` names the object and field; `expected` is the export's, `found` is what the client read."""

    where: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.where}: the export says {self.expected!r}, the registry {self.found!r}"


def differences(where: str, pairs: Mapping[str, tuple[object, object]]) -> Iterator[Difference]:
    """Of each pair of an expected and a found value that are not equal, by the field's name."""
    for name, (expected, found) in pairs.items():
        if expected != found:
            yield Difference(f"{where}: {name}", expected, found)
