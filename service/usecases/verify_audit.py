"""Check an audit trail: that every row is what was written, and that none is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from json import JSONDecodeError, loads
from typing import Any

from service.domain.audit import GENESIS, AuditRow, time_text

_FIELDS = frozenset(field.name for field in fields(AuditRow))
_NULLABLE = {"before", "after"}


class Broken(Exception):
    """The first row that is wrong. `place` says where, `what` what is wrong there."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")


@dataclass(frozen=True)
class Verified:
    """How many rows there are, and the hash of the last one."""

    rows: int
    head: str


def verify(rows: Iterable[AuditRow], head: str = "") -> Verified:
    """Recompute the chain of all rows, oldest first; memory stays flat.

    Args:
        head: a hash that was noted earlier, which the trail must still hold; '' for none.

    Raises:
        Broken: naming the first row that is wrong.
    """
    seq, previous = 0, GENESIS
    seen = head in ("", GENESIS)
    for row in rows:
        if row.seq > seq + 1:
            raise Broken(f"row {seq + 1}", f"it is missing: the next one is row {row.seq}")
        if row.seq <= seq:
            raise Broken(f"row {row.seq}", f"it comes after row {seq}")
        if not _has_its_hash(row):
            raise Broken(f"row {row.seq}", "its content is not what was recorded: it does not have its hash")
        if row.previous != previous:
            raise Broken(f"row {row.seq}", f"it does not go on from the row before, whose hash is {previous}")
        seq, previous = row.seq, row.hash
        seen = seen or row.hash == head
    if not seen:
        raise Broken(f"row {seq + 1}", f"the trail ends before the row whose hash is {head}")
    return Verified(seq, previous)


def _has_its_hash(row: AuditRow) -> bool:
    try:
        return row.computed_hash() == row.hash
    except ValueError:  # half of a surrogate pair, or NaN, which no row was ever made of
        return False


def parse_rows(lines: Iterable[bytes]) -> Iterator[AuditRow]:
    """The rows of an export, one a line. Raises Broken for a line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            document = loads(line)
            row = AuditRow(**{**document, "at": datetime.fromisoformat(document["at"])})
        except (JSONDecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError, KeyError):
            raise Broken(f"line {number}", "it is not a row of the audit trail") from None
        if not _sound(document) or document["at"] != time_text(row.at):
            raise Broken(f"line {number}", "it is not a row of the audit trail")
        yield row


def _sound(document: Mapping[str, Any]) -> bool:
    if document.keys() != _FIELDS or type(document["seq"]) is not int:
        return False
    texts = _FIELDS - _NULLABLE - {"seq"}
    return all(isinstance(document[name], str) for name in texts) and all(
        isinstance(document[name], dict | None) for name in _NULLABLE
    )
