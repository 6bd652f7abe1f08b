"""Zip archives with one thing wrong. In all of them the culprit is called `run/x`."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

from service.domain.errors import TooLarge
from service.exports.archive import Limits
from tests.unit.exports.hostile import Case
from tests.unit.exports.hostile_zip import Zipped, deflated, descriptor, zip64_end, zip64_extra, zipped

NAME = b"run/x"
DATA = b"some bytes, some bytes, some bytes"
FIRST = Zipped(b"run/run.json", b"{}")
X = Zipped(NAME, DATA)
LAST = Zipped(b"run/last", b"last")
FULL = 0xFFFFFFFF
BOMB = bytes(4 << 20)
SMALL = Limits(ratio_from=1 << 20)
# A last stored block that fills a reader's buffer of 64 KiB to its end.
BLOCK = bytes(range(256)) * 255 + bytes(251)
ONE_BLOCK = b"\1" + pack("<HH", len(BLOCK), len(BLOCK) ^ 0xFFFF) + BLOCK


def _streamed(rest: bytes) -> Zipped:
    return replace(X, flags=8, local_crc=0, local_size=0, local_packed=0, descriptor=rest)


CRC, PACKED = X.true_crc(), len(X.content())

# The member between two sound ones: (id, member, words).
_MEMBERS: list[tuple[str, Zipped, str]] = [
    ("symbolic-link", replace(X, data=b"/etc/passwd", mode=0o120777), "symbolic link"),
    ("symbolic-link-from-dos", replace(X, mode=0o120777, host=0), "symbolic link"),
    ("named-pipe", replace(X, mode=0o010644), "neither a regular file"),
    ("socket", replace(X, mode=0o140644), "neither a regular file"),
    ("character-device", replace(X, mode=0o020644), "neither a regular file"),
    ("block-device", replace(X, mode=0o060644), "neither a regular file"),
    ("unknown-kind", replace(X, mode=0o170644), "neither a regular file"),
    ("folder-without-slash", replace(X, mode=0o040755), "folder by its type"),
    ("encrypted", replace(X, flags=1), "encrypted"),
    ("encrypted-strongly", replace(X, flags=0x41), "encrypted"),
    ("encrypted-directory", replace(X, flags=0x2000), "encrypted"),
    ("encrypted-locally", replace(X, local_flags=1), "method in its local header"),
    ("patch", replace(X, flags=0x20), "not supported"),
    ("enhanced", replace(X, flags=0x10), "not supported"),
    ("reserved-flag", replace(X, flags=0x8000), "not supported"),
    *(
        (f"method-{method}", replace(X, method=method, packed=deflated(DATA)), f"method {method};")
        for method in (1, 6, 9, 10, 12, 14, 20, 93, 95, 97, 98, 99, 65535)
    ),
    ("stored-of-other-size", replace(X, method=0, size=5), "lies about its size"),
    ("other-part", replace(X, disk=1), "another part"),
    ("backslashes", replace(X, host=0, name=b"run\\x"), "backslashes"),
    ("local-name", replace(X, local_name=b"run/y"), "name in its local header"),
    ("local-name-of-other-length", replace(X, local_name=b"run/xx"), "name in its local header"),
    ("local-name-climbs", replace(X, local_name=b"../xx"), "name in its local header"),
    ("local-name-cut", replace(X, local_name=b""), "name in its local header"),
    ("local-method", replace(X, local_method=0), "method in its local header"),
    ("local-size", replace(X, local_size=5), "size in its local header"),
    ("local-size-zero", replace(X, local_size=0), "size in its local header"),
    ("local-packed", replace(X, local_packed=5), "size in its local header"),
    ("local-packed-zero", replace(X, local_packed=0), "size in its local header"),
    ("local-crc", replace(X, local_crc=5), "checksum in its local header"),
    ("local-crc-zero", replace(X, local_crc=0), "checksum in its local header"),
    ("local-size-full", replace(X, local_size=FULL), "size in its local header"),
    (
        "local-size-of-zip64",
        replace(X, local_size=FULL, local_packed=FULL, local_extra=zip64_extra(9, 9)),
        "size in its local header",
    ),
    ("local-magic", replace(X, local_magic=b"PK\3\5"), "no local header"),
    ("local-extra-lies", replace(X, local_extra=b"\1\0\xff\0abc"), "extra fields"),
    ("local-extra-twice", replace(X, local_extra=zip64_extra(1, 2) * 2), "extra fields"),
    ("local-second-name", replace(X, local_extra=pack("<HHBL", 0x7075, 8, 1, 0) + b"/es"), "second name"),
    ("extra-lies", replace(X, extra=b"\1\0\xff\0abc"), "extra fields"),
    ("extra-twice", replace(X, extra=zip64_extra(1) * 2), "extra fields"),
    ("second-name", replace(X, extra=pack("<HHBL", 0x7075, 8, 1, 0) + b"../"), "second name"),
    ("second-name-empty", replace(X, extra=pack("<HH", 0x7075, 0)), "second name"),
    ("zip64-missing", replace(X, size=FULL), "lacks the zip64"),
    ("zip64-short", replace(X, size=FULL, extra=b"\1\0\4\0abcd"), "lacks the zip64"),
    ("zip64-for-one-of-two", replace(X, size=FULL, packed_size=FULL, extra=zip64_extra(34)), "lacks the zip"),
    ("zip64-offset-missing", replace(X, offset=FULL), "lacks the zip64"),
    ("zip64-part", replace(X, disk=0xFFFF, extra=b"\1\0\4\0\2\0\0\0"), "another part"),
    ("crc", replace(X, crc=CRC ^ 1), "checksum it was given"),
    ("crc-of-stored", replace(X, method=0, crc=0), "checksum it was given"),
    ("size-too-small", replace(X, size=len(DATA) - 1), "unpacks to more"),
    ("size-zero", replace(X, size=0, crc=0), "unpacks to more"),
    ("size-too-large", replace(X, size=len(DATA) + 1), "unpacks to less"),
    ("packed-noise", replace(X, packed=b"\7\7\7\7\7\7\7\7"), "cannot be unpacked"),
    ("packed-empty", replace(X, packed=b""), "unpacks to less"),
    ("packed-cut", replace(X, packed=deflated(DATA)[:-2]), "unpacks to less|do not end"),
    ("packed-without-end", replace(X, packed=b"\0\x22\0\xdd\xff" + DATA), "do not end"),
    ("packed-and-more", replace(X, packed=deflated(DATA) + b"hidden"), "do not end"),
    ("packed-twice", replace(X, packed=deflated(DATA) * 2), "do not end"),
    ("packed-and-much-more", replace(X, packed=deflated(DATA) + bytes(200_000)), "do not end"),
    ("packed-and-more-after-64-kib", replace(X, data=BLOCK, packed=ONE_BLOCK + b"hidden"), "do not end"),
    ("packed-endless", replace(X, packed=b"\0\0\0\xff\xff" * 50_000), "unpacks to less"),
    ("data-behind", replace(X, after=b"hidden"), "belongs to no member"),
    ("much-data-behind", replace(X, after=bytes(3 << 20)), "belongs to no member"),
    ("member-behind", replace(X, after=Zipped(b"hidden", b"1").local()), "belongs to no member"),
    ("descriptor-unannounced", replace(X, descriptor=descriptor(CRC, PACKED, 34)), "belongs to no member"),
    ("descriptor-missing", _streamed(b""), "data descriptor"),
    ("descriptor-cut", _streamed(descriptor(CRC, PACKED, 34)[:-1]), "data descriptor"),
    ("descriptor-crc", _streamed(descriptor(CRC ^ 1, PACKED, 34)), "data descriptor"),
    ("descriptor-size", _streamed(descriptor(CRC, PACKED, 35)), "data descriptor"),
    ("descriptor-packed", _streamed(descriptor(CRC, 1, 34)), "data descriptor"),
    ("descriptor-magic", _streamed(b"PK\7\7" + descriptor(CRC, PACKED, 34)[4:]), "data descriptor"),
    ("descriptor-twice", _streamed(descriptor(CRC, PACKED, 34) * 2), "belongs to no member"),
    ("descriptor-flag-not-local", replace(X, flags=8, local_flags=0), "method in its local header"),
    ("descriptor-flag-only-local", replace(X, local_flags=8), "method in its local header"),
    ("streamed-size-lies", replace(_streamed(b""), local_size=9), "size in its local header"),
    ("streamed-crc-lies", replace(_streamed(b""), local_crc=9), "checksum in its local header"),
    ("folder-with-content", replace(X, name=b"run/x/", mode=0o040755), "folder with content"),
    ("offset-too-large", replace(X, offset=200), "followed by data that belongs to no member"),
    ("offset-of-first", replace(X, offset=0), "does not begin|overlaps"),
    ("packed-size-over-next", replace(X, packed_size=PACKED + 30, size=64), "overlaps"),
    ("packed-size-over-all", replace(X, packed_size=1 << 30, size=1 << 30), "overlaps"),
]

_FRAMES: list[tuple[str, bytes, str]] = [
    ("text-before", zipped(FIRST, prefix=b"#!/bin/sh\n"), "not an archive"),
    ("zip-before", zipped(FIRST, prefix=zipped(LAST)), "before its first member"),
    ("tail-before-member", zipped(replace(FIRST, offset=9)), "before its first member"),
    ("old-offsets", zipped(LAST) + zipped(FIRST), "between or before"),
    ("gap", zipped(FIRST, X, gap=b"hidden"), "belongs to no member"),
    ("gap-large", zipped(FIRST, X, gap=bytes(2 << 20)), "belongs to no member"),
    ("only-gap", zipped(gap=b"PK\3\4hidden"), "belongs to no member"),
    ("after-directory", zipped(FIRST, X, between=b"hidden"), "between or before"),
    ("signature-record", zipped(FIRST, X, between=b"PK\5\5\0\0"), "between or before"),
    ("text-after", zipped(FIRST, X, suffix=b"hidden"), "other data after"),
    ("zeros-after", zipped(FIRST, X, suffix=bytes(512)), "other data after"),
    ("far-after", zipped(FIRST, X, suffix=bytes(100_000)), "central directory"),
    ("zip-after", zipped(FIRST, X) + zipped(FIRST), "between or before"),
    ("end-in-comment", zipped(FIRST, X, comment=zipped()), "other data after|truncated"),
    ("end-magic-in-comment", zipped(FIRST, X, comment=b"PK\5\6"), "other data after|truncated"),
    (
        "two-ends",
        zipped(FIRST, X, comment=b"12" + pack("<4s9H", b"PK\5\6", *[0] * 9)),
        "other data after|trunc",
    ),
    ("comment-cut", zipped(FIRST, X, comment=b"hello")[:-1], "other data after"),
    ("end-cut", zipped(FIRST, X)[:-1], "truncated"),
    ("end-missing", zipped(FIRST, X)[:-22], "truncated"),
    ("directory-missing", FIRST.local() + X.local(), "truncated"),
    ("one-member-header", FIRST.local()[:20], "truncated"),
    ("only-magic", b"PK\3\4", "truncated"),
    ("spanned-marker", b"PK\7\b" + zipped(FIRST), "between or before"),
    ("parts", zipped(FIRST, X, disk=1, first_disk=1), "several parts"),
    ("last-part", zipped(FIRST, X, disk=1), "several parts"),
    ("directory-in-other-part", zipped(FIRST, X, first_disk=1), "several parts"),
    ("entries-in-other-part", zipped(FIRST, X, here=1), "several parts"),
    ("directory-count-too-small", zipped(FIRST, X, count=1), "central directory than it counts"),
    ("directory-count-too-large", zipped(FIRST, X, count=3), "central directory than it counts"),
    ("count-zero", zipped(FIRST, X, count=0), "belongs to no member|than it counts"),
    ("directory-length-too-small", zipped(FIRST, X, length=5), "between or before"),
    ("directory-length-too-large", zipped(FIRST, X, length=5000), "between or before"),
    ("directory-offset-too-small", zipped(FIRST, X, offset=5), "between or before"),
    ("directory-offset-too-large", zipped(FIRST, X, offset=5000), "between or before"),
    ("offset-full", zipped(FIRST, X, offset=FULL), "between or before"),
    ("directory-is-noise", zipped(FIRST)[:-22] + zipped(gap=bytes(99))[-22:], "between or before"),
    ("directory-magic", zipped(FIRST, X).replace(b"PK\1\2", b"PK\1\3"), "fewer entries"),
    ("local-header-cut", FIRST.local()[:20] + zipped(FIRST, offset=20)[-22 - len(FIRST.central(0)) :], "local header"),
    ("entry-cut", zipped(FIRST, count=2, length=len(FIRST.central(0)) + 9, between=b"PK\1\2short"), "fewer entries"),
    ("second-entry-magic", (b"PK\1\3".join(zipped(FIRST, X).rsplit(b"PK\1\2", 1))), "fewer entries"),
    (
        "bits-of-other-order",
        zipped(replace(FIRST, offset=41), replace(X, offset=0)),
        "before its first member",
    ),
]


def _zip64(**changes: int | bytes) -> bytes:
    """A zip with a zip64 end; `changes` go to `zip64_end` or, prefixed with `end_`, to the old end."""
    body, directory = FIRST.local(), FIRST.central(0)
    old = {key[4:]: changes.pop(key) for key in list(changes) if key.startswith("end_")}
    fields: dict[str, int] = {"offset": FULL, "length": FULL, "count": 0xFFFF}
    fields.update({key: int(value) for key, value in old.items()})
    end = len(body) + len(directory)
    values = {"directory": len(body), "length": len(directory), "count": 1, "at": end, **changes}
    between = zip64_end(**values)  # type: ignore[arg-type]  # each has the type of its own parameter
    return zipped(FIRST, between=between, **fields)  # type: ignore[arg-type]  # likewise


_ZIP64: list[tuple[str, bytes, str]] = [
    ("magic", _zip64(magic=b"PK\6\5"), "zip64 end record that cannot be"),
    ("length", _zip64(rest=45), "zip64 end record that cannot be"),
    ("part", _zip64(disk=1), "zip64 end record that cannot be"),
    ("first-part", _zip64(first_disk=1), "zip64 end record that cannot be"),
    ("entries-in-other-part", _zip64(here=0), "zip64 end record that cannot be"),
    ("locator-part", _zip64(locator_disk=1), "not where it says"),
    ("parts", _zip64(disks=2), "not where it says"),
    ("elsewhere", _zip64(at=0), "not where it says"),
    ("far-away", _zip64(at=1 << 60), "not where it says"),
    ("contradicts-offset", _zip64(end_offset=7), "contradicts itself"),
    ("contradicts-length", _zip64(end_length=7), "contradicts itself"),
    ("contradicts-count", _zip64(end_count=7), "contradicts itself"),
    ("directory", _zip64(directory=7), "between or before|contradicts"),
    ("directory-length", _zip64(length=7), "between or before"),
    ("count", _zip64(count=2), "than it counts"),
]

_TOO_LARGE: list[tuple[str, bytes, str, str | None, Limits]] = [
    ("count", zipped(FIRST, X, LAST), "3 members", None, Limits(members=2)),
    ("count-of-zip64", _zip64(count=1 << 40), "members", None, Limits()),
    ("sum", zipped(FIRST, X, LAST), "more than 36 bytes", "run/last", Limits(unpacked_bytes=36)),
    ("size", zipped(replace(X, size=1 << 31)), "more than 99 bytes", "run/x", Limits(unpacked_bytes=99)),
    ("bomb", zipped(FIRST, replace(X, data=BOMB)), "1000 times", "run/x", SMALL),
    ("bomb-behind-noise", zipped(replace(FIRST, method=0, data=bytes(99999)), replace(X, data=BOMB)), "1000 t",
     "run/x", SMALL),
    ("bomb-in-parts", zipped(replace(FIRST, data=BOMB[:900_000]), replace(X, data=BOMB[:900_000])), "500 times",
     "run/x", Limits(ratio=500, ratio_from=1 << 20)),
    ("bomb-that-lies", zipped(replace(X, data=b"x", size=1 << 30)), "1000 times", "run/x", Limits()),
]  # fmt: skip


def _overlaps() -> list[tuple[str, bytes, str]]:
    """Members that share bytes: one packed body under many names, whole or nested."""
    kernel = deflated(bytes(100_000))
    one = Zipped(b"run/a", packed=kernel, size=100_000, crc=0)
    shared = zipped(one, Zipped(NAME, packed=b"", offset=0, local_magic=b"", local_name=b""))
    inner = Zipped(NAME, DATA, method=0).local()
    quoted = Zipped(b"run/a", inner, method=0)
    body = quoted.local()
    directory = quoted.central(0) + Zipped(NAME, DATA, method=0).central(len(body) - len(inner))
    end = b"PK\5\6" + pack("<4H2LH", 0, 0, 2, 2, len(directory), len(body), 0)
    return [
        ("overlap-nested", body + directory + end, "overlaps"),
        ("overlap-shared", shared, "overlaps|does not begin"),
        ("overlap-same-twice", zipped(X, replace(LAST, offset=0)), "overlaps|does not begin"),
    ]


def _cases() -> list[Case]:
    cases = []
    for name, member, words in _MEMBERS:
        # A wrong offset of one member looks like a gap or an overlap of the one before it.
        culprit = None if name.startswith("offset") else member.name.decode()
        cases.append(Case(f"zip-{name}", zipped(FIRST, member, LAST), words, culprit))
    for name, archive, words in _FRAMES + _overlaps():
        cases.append(Case(f"zip-{name}", archive, words))
    cases += [Case(f"zip64-{name}", archive, words) for name, archive, words in _ZIP64]
    for name, archive, words, named, limits in _TOO_LARGE:
        cases.append(Case(f"zip-large-{name}", archive, words, named, TooLarge, limits))
    return cases


CASES = _cases()
