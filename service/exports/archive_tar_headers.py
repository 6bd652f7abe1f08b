"""The 512-byte header of a tar member and the pax records before it, read strictly.

Python's `tarfile` is made to read what it can: it takes a header with a wrong checksum for the end of the
archive, and reads a pax header of any size into memory. Here every doubt is a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.domain.errors import ArchiveRefused
from service.exports.archive_names import damaged, refused, shown

BLOCK = 512
EMPTY = bytes(BLOCK)

_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_LARGEST = (1 << 63) - 1
_USTAR = b"ustar\0"
# The keywords that change what a member is; one more tells of a file that is stored with holes.
_DECISIVE = frozenset({b"path", b"linkpath", b"size"})
_SPARSE = (b"GNU.sparse.", b"SCHILY.realsize")


@dataclass(frozen=True, slots=True)
class Header:
    """One header block. `name` is as stored, before any pax or GNU long name."""

    kind: bytes  # the type flag, b"0" for the old style b"\\0"
    name: bytes
    size: int  # bytes that follow


def has_checksum(block: bytes) -> bool:
    """Whether the 512 bytes carry the checksum of a tar header."""
    stored = _OCTAL.fullmatch(block[148:156])
    if stored is None or not stored[1]:
        return False
    # The checksum counts its own eight bytes as spaces.
    return int(stored[1], 8) == sum(block) - sum(block[148:156]) + 8 * 0x20


def parse(block: bytes, after: str) -> Header:
    """Reads a header block that is not all zero; `after` names the member before it, if any."""
    if not has_checksum(block):
        raise damaged("is no tar, or is damaged: a header has a wrong checksum", after)
    kind = block[156:157]
    name = _field(block[:100])
    # Only in the POSIX form is this field a prefix; GNU tar keeps times in it.
    if block[257:263] == _USTAR and (prefix := _field(block[345:500])):
        name = prefix + b"/" + name
    return Header(kind=b"0" if kind == b"\0" else kind, name=name, size=_number(block[124:136], name))


def _field(raw: bytes) -> bytes:
    """A NUL-terminated text; bytes after the NUL stay, so that the name is refused for them."""
    return raw.rstrip(b"\0")


def _number(raw: bytes, name: bytes) -> int:
    """A size: octal digits, or after a set first bit a binary number as GNU tar and star write it."""
    if raw[0] & 0x80:
        number = int.from_bytes(raw, "big") - (0x80 << 8 * (len(raw) - 1))
        if number > _LARGEST:  # a negative one as well: its sign bit is the next
            raise refused(shown(name), "has a size that cannot be")
        return number
    octal = _OCTAL.fullmatch(raw)
    if octal is None:
        raise refused(shown(name), "has a size that is no number")
    return int(octal[1] or b"0", 8)


def pax_records(data: bytes, after: str) -> dict[bytes, bytes]:
    """The `length keyword=value` records of a pax header.

    Raises:
        ArchiveRefused: a record is malformed, or decides twice over what the member is.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 8].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[at : at + length]
        keyword, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) < length or not record.endswith(b"\n") or not equals or not keyword:
            raise damaged("has a malformed pax header", after)
        if keyword in _DECISIVE and keyword in records:
            raise damaged(f'has a pax header with two values for "{keyword.decode()}"', after)
        records[keyword] = value
        at += length
    return records


def is_sparse(records: dict[bytes, bytes]) -> bool:
    """Whether the records describe a file stored without its holes, in any of the GNU forms or star's."""
    return any(keyword.startswith(_SPARSE) for keyword in records)


def changes_members(records: dict[bytes, bytes]) -> bool:
    """Whether records meant for all members (type `g`) would rename or resize them."""
    return is_sparse(records) or not _DECISIVE.isdisjoint(records)


def pax_size(value: bytes, name: bytes) -> int:
    """The size that a pax header gives to the member `name`."""
    if not value.isdigit() or len(value) > 19:
        raise _bad_pax_size(name)
    size = int(value)
    if size > _LARGEST:
        raise _bad_pax_size(name)
    return size


def _bad_pax_size(name: bytes) -> ArchiveRefused:
    return refused(shown(name), "has a size in its pax header that cannot be")
