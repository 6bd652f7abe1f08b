"""How much memory an export may take: each document while it is read, and all that is kept of them."""

from __future__ import annotations

from sys import getsizeof

from service.domain.errors import TooLarge

MIB = 1024 * 1024
MAX_STRUCTURE = 2_000_000
"""Objects, lists and commas of one document. `{},` is three bytes in the file and some seventy in memory."""
MAX_KEPT = 512 * MIB
"""Bytes in memory of what is kept until the import is written: some 100,000 runs of a dozen tags each."""
_LEAVES = (str, int, float, bytes, type(None))
_COUNTED = "{[,"


def structure(text: str | bytes) -> int:
    """How many objects, lists and commas the JSON has at most; those inside of texts count, too."""
    if isinstance(text, bytes):
        return sum(text.count(character.encode()) for character in _COUNTED)
    return sum(text.count(character) for character in _COUNTED)


def too_many(file: str) -> TooLarge:
    return TooLarge(f"{file} has more than {MAX_STRUCTURE} objects, lists and commas.", file=file)


def check_structure(text: str | bytes, file: str) -> None:
    """Raises TooLarge, before anything is made of the JSON."""
    if len(text) > MAX_STRUCTURE and structure(text) > MAX_STRUCTURE:
        raise too_many(file)


class Kept:
    """An account of what is kept in memory, in bytes."""

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._left = limit

    def add(self, value: object, file: str) -> None:
        """Raises TooLarge naming the file with which it became too much."""
        self._left -= footprint(value, self._left)
        if self._left < 0:
            mib = self._limit // MIB
            detail = f"The export describes more than can be held at once ({mib} MiB), at {file}: send it in parts."
            raise TooLarge(detail, file=file)


def footprint(value: object, enough: int = MAX_KEPT) -> int:
    """The bytes of plain data and records in memory, shared parts counted each time; no further than to `enough`."""
    total = 0
    waiting = [value]
    while waiting and total <= enough:
        item = waiting.pop()
        total += getsizeof(item)
        if isinstance(item, _LEAVES):
            continue
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            waiting.extend(item)
        else:
            waiting.extend(getattr(item, name) for name in getattr(item, "__dataclass_fields__", ()))
    return total
