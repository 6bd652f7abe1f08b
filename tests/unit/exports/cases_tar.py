"""Tar archives with one thing wrong, each in all three packings."""

from __future__ import annotations

from service.domain.errors import ArchiveRefused, RegistryError, TooLarge
from service.exports.archive import Limits
from tests.unit.exports.hostile import (
    GNU_MAGIC,
    OLD_MAGIC,
    PACKINGS,
    POSIX_MAGIC,
    TAR_END,
    Case,
    entry,
    header,
    long_name,
    padded,
    pax,
    record,
    tar,
)

FIRST = entry(b"run/run.json", b"{}")
LAST = entry(b"run/last", b"x")
HUGE = 1 << 40

_KINDS = [
    ("hard-link", b"1", "hard link"),
    ("symbolic-link", b"2", "symbolic link"),
    ("character-device", b"3", "character device"),
    ("block-device", b"4", "block device"),
    ("named-pipe", b"6", "named pipe"),
    ("contiguous", b"7", "neither a regular file"),
    ("incremental-folder", b"D", "incremental"),
    ("continued", b"M", "another volume"),
    ("sparse-gnu", b"S", "sparse"),
    ("volume-label", b"V", "volume label"),
    ("old-long-names", b"N", "neither a regular file"),
    ("solaris-acl", b"A", "neither a regular file"),
    ("solaris-pax", b"X", "neither a regular file"),
    ("unknown-kind", b"?", "neither a regular file"),
    ("kind-beyond-ascii", b"\xff", "neither a regular file"),
]

Wrong = tuple[str, bytes, str, str | None]

_KIND_CASES: list[Wrong] = [
    (f"kind-{name}", tar(FIRST, entry(b"run/x", kind=kind, link=b"run/run.json"), LAST), words, "run/x")
    for name, kind, words in _KINDS
]

_MEMBERS: list[Wrong] = [
    ("link-to-outside", tar(entry(b"x", kind=b"2", link=b"/etc/passwd")), "symbolic link", "x"),
    (
        "link-with-long-names",
        tar(long_name(b"t" * 200, b"K"), long_name(b"n" * 150), entry(b"n", kind=b"2")),
        "symbolic link",
        "n" * 150,
    ),
    ("link-by-pax", tar(pax((b"linkpath", b"/etc")), entry(b"x", b"1")), "target of a link", "x"),
    ("link-by-gnu", tar(long_name(b"/etc", b"K"), entry(b"x", b"1")), "target of a link", "x"),
    ("link-named-by-pax", tar(pax((b"path", b"true")), entry(b"x", kind=b"2")), "symbolic link", "true"),
    ("folder-with-content", tar(entry(b"run", b"hidden", b"5")), "folder with content", "run"),
    ("file-with-slash", tar(entry(b"run/", b"hidden")), "folder with content", "run/"),
    (
        "folder-sized-by-pax",
        tar(pax((b"size", b"5")), entry(b"d", kind=b"5")),
        "folder with content",
        "d",
    ),
    ("two-long-names", tar(long_name(b"a"), pax((b"path", b"b")), entry(b"x")), "two long names", "b"),
    ("prefix-climbs", tar(header(b"x", prefix=b"a/..")), r'"\.\."', "a/../x"),
    ("prefix-absolute", tar(header(b"x", prefix=b"/a")), "absolute", "/a/x"),
    ("prefix-with-nul", tar(header(b"x", prefix=b"a\0b")), "control", "a\\x00b/x"),
    ("name-empty", tar(header(b"")), "segment", ""),
    ("size-negative", tar(header(b"x", size_field=b"\xff" * 12)), "size that cannot be", "x"),
    (
        "size-beyond-63-bits",
        tar(header(b"x", size_field=b"\x80" + b"\xff" * 11)),
        "size that cannot be",
        "x",
    ),
    ("size-no-octal", tar(header(b"x", size_field=b"00000000009\0")), "no number", "x"),
    ("size-with-sign", tar(header(b"x", size_field=b"-0000000001\0")), "no number", "x"),
    ("size-two-numbers", tar(header(b"x", size_field=b"00001 00001\0")), "no number", "x"),
    ("size-pax-text", tar(pax((b"size", b"1e3")), entry(b"x", b"1")), "pax header that cannot", "x"),
    ("size-pax-negative", tar(pax((b"size", b"-1")), entry(b"x", b"1")), "pax header that cannot", "x"),
    ("size-pax-empty", tar(pax((b"size", b"")), entry(b"x", b"1")), "pax header that cannot", "x"),
    (
        "size-pax-underscore",
        tar(pax((b"size", b"1_0")), entry(b"x", b"1")),
        "pax header that cannot",
        "x",
    ),
    ("size-pax-of-20-digits", tar(pax((b"size", b"1" * 20)), entry(b"x")), "pax header that cannot", "x"),
    ("size-pax-of-5000-digits", tar(pax((b"size", b"0" * 5000)), entry(b"x")), "pax header that cannot", "x"),
    ("size-pax-64-bits", tar(pax((b"size", b"9" * 19)), entry(b"x")), "pax header that cannot", "x"),
    ("size-lies", tar(FIRST, header(b"run/x", 5000)), "truncated", "run/x"),
    (
        "size-lies-by-pax",
        tar(FIRST, pax((b"size", b"5000")), entry(b"run/x", b"1")),
        "truncated",
        "run/x",
    ),
    (
        "size-lies-in-base-256",
        tar(header(b"x", size_field=b"\x80" + bytes(9) + b"\x99\x99")),
        "truncated",
        "x",
    ),
    ("cut-in-data", FIRST + header(b"run/x", 1000) + bytes(900), "truncated", "run/x"),
    ("cut-in-padding", FIRST + header(b"run/x", 10) + bytes(100), "truncated", "run/x"),
    ("cut-before-data", FIRST + header(b"run/x", 10), "truncated", "run/x"),
]

_SPARSE_KEYWORDS = ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.name"]
_SPARSE_KEYWORDS += ["GNU.sparse.realsize", "SCHILY.realsize"]
_SPARSE: list[Wrong] = [
    (f"sparse-pax-{keyword}", tar(pax((keyword.encode(), b"1")), entry(b"x", b"1")), "sparse", "x")
    for keyword in _SPARSE_KEYWORDS
]

_FRAMING: list[Wrong] = [
    ("no-end", FIRST + LAST, "truncated", None),
    ("one-empty-block", FIRST + bytes(512), "truncated", None),
    ("end-cut", FIRST + bytes(1000), "truncated", None),
    ("header-cut", FIRST + LAST[:300], "truncated", None),
    ("data-after-empty-block", FIRST + bytes(512) + LAST + TAR_END, "after an empty tar block", None),
    ("tar-after-end", tar(FIRST) + tar(LAST), "after the end of its tar", None),
    ("byte-after-end", tar(FIRST) + bytes(9000) + b"\1", "after the end of its tar", None),
    ("padding-without-end", tar(FIRST) + bytes(17 << 20), "after the end of its tar", None),
    ("checksum", tar(FIRST, header(b"run/x", checksum=b"000001\0 "), LAST), "wrong checksum", None),
    ("checksum-empty", tar(FIRST, header(b"run/x", checksum=bytes(8)), LAST), "wrong checksum", None),
    ("checksum-text", tar(FIRST, header(b"run/x", checksum=b"checksum"), LAST), "wrong checksum", None),
    ("checksum-first", tar(header(b"run/x", checksum=b"000001\0 ")), "wrong checksum", None),
    ("text-behind-member", FIRST + padded(b"not a header") + TAR_END, "wrong checksum", None),
    ("pax-twice", tar(FIRST, pax((b"path", b"a")), pax((b"path", b"b")), LAST), "two extended", None),
    ("long-name-twice", tar(FIRST, long_name(b"a"), long_name(b"b"), LAST), "two extended", None),
    ("long-link-twice", tar(FIRST, long_name(b"a", b"K"), long_name(b"b", b"K"), LAST), "two extended", None),
    (
        "global-inside",
        tar(FIRST, pax((b"a", b"b")), pax((b"c", b"d"), kind=b"g"), LAST),
        "two extended",
        None,
    ),
    ("pax-of-nothing", tar(FIRST, pax((b"path", b"x"))), "belongs to no member", None),
    ("long-name-of-nothing", tar(FIRST, long_name(b"x")), "belongs to no member", None),
    ("pax-cut", FIRST + pax((b"path", b"x" * 900))[:700], "truncated", None),
    ("global-path", tar(FIRST, pax((b"path", b"x"), kind=b"g"), LAST), "global pax header", None),
    ("global-size", tar(FIRST, pax((b"size", b"1"), kind=b"g"), LAST), "global pax header", None),
    ("global-linkpath", tar(FIRST, pax((b"linkpath", b"x"), kind=b"g"), LAST), "global pax header", None),
    ("global-sparse", tar(FIRST, pax((b"GNU.sparse.major", b"1"), kind=b"g"), LAST), "global pax", None),
    ("pax-two-paths", tar(FIRST, pax((b"path", b"a"), (b"path", b"b")), LAST), 'values for "path"', None),
    ("pax-two-sizes", tar(FIRST, pax((b"size", b"1"), (b"size", b"2")), LAST), 'values for "size"', None),
]

_RECORDS: list[Wrong] = [
    (f"pax-record-{name}", tar(FIRST, entry(b"p", data, b"x"), LAST), "malformed pax", None)
    for name, data in [
        ("too-long", b"99 path=x\n"),
        ("too-short", b"5 path=x\n"),
        ("length-zero", b"0 path=x\n"),
        ("length-negative", b"-9 path=x\n"),
        ("length-missing", b"path=x\n"),
        ("length-plus", b"+11 path=x\n"),
        ("length-underscore", b"1_1 path=x\n"),
        ("length-text", b"x path=x\n"),
        ("length-of-many-digits", b"0" * 50 + b"9 path=x\n"),
        ("without-equals", b"8 path!\n"),
        ("without-keyword", b"5 =x\n"),
        ("without-newline", b"9 path=xy"),
        ("only-length", b"2 \n"),
        ("trailing-zeros", record(b"path", b"x") + bytes(20)),
        ("no-text", b"\xff" * 40),
    ]
]

_TOO_LARGE: list[tuple[str, bytes, str, str | None, Limits]] = [
    ("pax-header", tar(FIRST, header(b"p", HUGE, b"x")), "extended headers", None, Limits()),
    ("pax-header-by-one", tar(FIRST, header(b"p", 65537, b"x")), "extended headers", None, Limits()),
    ("global-header", tar(FIRST, header(b"p", HUGE, b"g")), "extended headers", None, Limits()),
    ("long-name", tar(FIRST, header(b"p", HUGE, b"L")), "extended headers", None, Limits()),
    ("long-link", tar(FIRST, header(b"p", HUGE, b"K")), "extended headers", None, Limits()),
    ("long-name-huge-first", tar(header(b"p", 1 << 62, b"L")), "extended headers", None, Limits()),
    ("globals-in-a-row", tar(FIRST, entry(b"g", b"", b"g") * 3000, LAST), "extended headers", None, Limits()),
    ("size", tar(FIRST, header(b"run/x", HUGE), LAST), "unpacks to more", "run/x", Limits()),
    ("size-by-pax", tar(pax((b"size", b"%d" % HUGE)), header(b"x")), "unpacks to more", "x", Limits()),
    ("size-of-62-bits", tar(header(b"x", size_field=b"\x80\0\0\0\x3f" + bytes(7))), "more", "x", Limits()),
    ("sum", tar(FIRST, entry(b"a", b"12"), entry(b"b", b"1")), "than 4 b", "b", Limits(unpacked_bytes=4)),
    ("members", tar(FIRST, entry(b"d/", kind=b"5"), LAST), "2 members", "run/last", Limits(members=2)),
    ("folders", tar(*(entry(b"%d/" % i, kind=b"5") for i in range(9))), "8 members", "8/", Limits(members=8)),
]


def _cases() -> list[Case]:
    cases = []
    wrong: list[tuple[str, bytes, str, str | None, type[RegistryError], Limits]] = [
        *((*one, ArchiveRefused, Limits()) for one in _KIND_CASES + _MEMBERS + _SPARSE + _FRAMING + _RECORDS),
        *((f"large-{name}", data, words, member, TooLarge, lim) for name, data, words, member, lim in _TOO_LARGE),
    ]
    for name, data, words, member, error, limits in wrong:
        for packing, packed in PACKINGS.items():
            cases.append(Case(f"{packing}-{name}", packed(data), words, member, error, limits))
    return cases


# The magic decides whether the prefix is one; with GNU's it must not lead the name anywhere.
_MAGICS = [
    Case(
        f"tar-magic-{name}",
        tar(FIRST, header(b"/x", magic=magic, prefix=b"\0\0\0\0/../"), LAST),
        "absolute|control",
    )
    for name, magic in (("gnu", GNU_MAGIC), ("old", OLD_MAGIC), ("posix", POSIX_MAGIC))
]

CASES = _cases() + _MAGICS
