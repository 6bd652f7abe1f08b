"""Names that no member may have, in every format and by every way a format has to give a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.exports.archive import Limits
from tests.unit.exports.hostile import PACKINGS, Case, entry, long_name, pax, tar
from tests.unit.exports.hostile_zip import Zipped, zipped


@dataclass(frozen=True)
class Name:
    """A name as stored, why it is refused, and how the refusal writes it if it is not printable."""

    id: str
    raw: bytes
    words: str
    shown: str = ""

    def told(self) -> str:
        return self.shown or self.raw.decode()


NAMES = [
    Name("absolute", b"/etc/passwd", "absolute"),
    Name("two-slashes-first", b"//host/share", "absolute"),
    Name("backslash-first", b"\\windows\\system32", "absolute"),
    Name("unc", b"\\\\host\\share\\x", "absolute"),
    Name("parent-first", b"../x", r'"\.\."'),
    Name("parent-only", b"..", r'"\.\."'),
    Name("parent-inside", b"run/../../x", r'"\.\."'),
    Name("parent-last", b"run/..", r'"\.\."'),
    Name("parent-after-dot", b"./../x", r'"\.\."'),
    Name("parent-between-backslashes", b"run\\..\\..\\x", r'"\.\."'),
    Name("parent-before-backslash", b"..\\x", r'"\.\."'),
    Name("parent-mixed", b"run/..\\x", r'"\.\."'),
    Name("dot-inside", b"run/./x", "segment"),
    Name("dot-last", b"run/.", "segment"),
    Name("dot-only", b".", "segment"),
    Name("dot-twice", b"././x", "segment"),
    Name("empty-segment", b"run//x", "segment"),
    Name("hidden-absolute", b".//etc/passwd", "segment"),
    Name("drive", b"C:/x", "drive"),
    Name("drive-relative", b"c:x", "drive"),
    Name("drive-backslash", b"Z:\\x", "drive"),
    Name("drive-after-dot", b"./C:/x", "drive"),
    Name("newline", b"run/a\nb", "control", "run/a\\x0ab"),
    Name("return", b"a\rb", "control", "a\\x0db"),
    Name("tab", b"a\tb", "control", "a\\x09b"),
    Name("escape", b"a\x1b[31mb", "control", "a\\x1b[31mb"),
    Name("delete", b"a\x7f", "control", "a\\x7f"),
    Name("c1", "a\x85b".encode(), "control", "a\\x85b"),
    Name("line-separator", "a\u2028b".encode(), "control", "a\\x2028b"),
    Name("nul", b"a\0b", "control", "a\\x00b"),
    Name("not-printable", "../\u202egpj\u0378".encode(), r'"\.\."', "../\\x202egpj\\x378"),
    Name("latin-1", b"mod\xe8le", "UTF-8", "mod\\xe8le"),
    Name("overlong-slash", b"a\xc0\xafb", "UTF-8", "a\\xc0\\xafb"),
    Name("overlong-dots", b"\xc0\xae\xc0\xae/x", "UTF-8", "\\xc0\\xae\\xc0\\xae/x"),
    Name("lone-surrogate", b"a\xed\xa0\x80b", "UTF-8", "a\\xed\\xa0\\x80b"),
    Name("half-a-character", "a😀".encode()[:-1], "UTF-8", "a\\xf0\\x9f\\x98"),
]

# Where nothing ends the name before its end, so that these can be told as well.
_LONG = [
    Name("empty", b"", "segment"),
    Name("segment-too-long", b"run/" + b"a" * 256, "255 bytes", "run/" + "a" * 196 + "…"),
    Name("segment-too-long-in-bytes", "é".encode() * 128, "255 bytes", "é" * 128),
    Name("path-too-long", b"/".join([b"a" * 204] * 5) + b"b", "1024 bytes", "a" * 200 + "…"),
    Name("path-too-deep", b"/".join([b"d"] * 33), "32 segments"),
]

_TAR_WAYS: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda name: entry(name, b"data"),
    "pax": lambda name: pax((b"path", name)) + entry(b"harmless", b"data"),
    "gnu": lambda name: long_name(name) + entry(b"harmless", b"data"),
}


def _in_tars() -> list[Case]:
    cases = []
    for way, build in _TAR_WAYS.items():
        for name in NAMES + (_LONG if way != "header" else []):
            archive = tar(entry(b"before", b"x"), build(name.raw), entry(b"after", b"x"))
            # One packing each is enough: the names are read after unpacking.
            packing = {"header": "tar", "pax": "tar.gz", "gnu": "tar.zst"}[way]
            case = Case(f"{packing}-{way}-{name.id}", PACKINGS[packing](archive), name.words, name.told())
            cases.append(case)
    return cases


def _in_zips() -> list[Case]:
    return [
        Case(
            f"zip-name-{name.id}",
            zipped(Zipped(b"before", b"x"), Zipped(name.raw, b"data"), Zipped(b"after", b"x")),
            name.words,
            name.told(),
        )
        for name in NAMES + _LONG
    ]


# Two members that cannot both be on every disk: (id, first, second, words). A trailing "/" is a folder.
_PAIRS = [
    ("twice", b"run/model", b"run/model", "twice"),
    ("twice-after-dot", b"run/model", b"./run/model", "twice"),
    ("case", b"run/Model", b"run/model", "case"),
    ("case-of-folder", b"Run/model", b"run/model", "case"),
    ("case-beyond-ascii", "É".encode(), "é".encode(), "case"),
    ("case-sharp-s", "Straße".encode(), b"STRASSE", "case"),
    ("case-kelvin", "\u212a".encode(), b"k", "case"),
    ("unicode-form", "caf\u00e9".encode(), "cafe\u0301".encode(), "Unicode form"),
    ("unicode-form-of-folder", "caf\u00e9/x".encode(), "cafe\u0301/x".encode(), "Unicode form"),
    ("file-below-file", b"run", b"run/model", "has a file"),
    ("file-far-below-file", b"run", b"run/artifacts/model/MLmodel", "has a file"),
    ("file-above-file", b"run/model", b"run", "at once"),
    ("file-far-above-file", b"run/artifacts/model", b"run", "at once"),
    ("file-and-folder", b"run/", b"run", "at once"),
    ("folder-and-file", b"run", b"run/", "has a file"),
    ("folder-below-file", b"run", b"run/empty/", "has a file"),
    ("file-and-folder-of-other-case", b"RUN/", b"run", "at once"),
    ("file-below-file-of-other-case", b"RUN", b"run/model", "has a file"),
]


def _collisions() -> list[Case]:
    cases = []
    for name, first, second, words in _PAIRS:
        told = second.decode().removeprefix("./").removesuffix("/")
        members = [(path, b"" if path.endswith(b"/") else b"data") for path in (first, b"other", second)]
        tarred = tar(*(entry(path, data, b"5" if not data else b"0") for path, data in members))
        cases += [Case(f"{kind}-{name}", packed(tarred), words, told) for kind, packed in PACKINGS.items()]
        archive = zipped(*(Zipped(path, data, mode=0) for path, data in members))
        cases.append(Case(f"zip-{name}", archive, words, told))
    return cases


def _junk() -> list[Case]:
    """What is not yielded is checked all the same."""
    return [
        Case("tar-junk-twice", tar(entry(b".DS_Store", b"1"), entry(b".DS_Store", b"1")), "twice", ".DS_Store"),
        Case("tar-junk-climbs", tar(entry(b"__MACOSX/../x", b"1")), r'"\.\."', "__MACOSX/../x"),
        Case("zip-junk-crc", zipped(Zipped(b"__MACOSX/x", b"1", crc=7)), "checksum", "__MACOSX/x"),
        Case("zip-folder-climbs", zipped(Zipped(b"a/../", mode=0)), r'"\.\."', "a/../"),
        Case("tar-folder-absolute", tar(entry(b"/", kind=b"5")), "absolute", "/"),
        Case("tar-folder-empty-segment", tar(entry(b"a//", kind=b"5")), "segment", "a//"),
        Case(
            "tar-small-limits",
            tar(entry(b"aaaa", b"1"), entry(b"b/b/b", b"1")),
            "2 segments",
            "b/b/b",
            limits=Limits(depth=2),
        ),
    ]


CASES = _in_tars() + _in_zips() + _collisions() + _junk()
