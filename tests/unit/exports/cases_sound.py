"""Archives that are taken in: what the tools write, and every right form next to a wrong one."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from struct import pack

import zstandard

from tests.unit.exports.hostile import (
    GNU_MAGIC,
    OLD_MAGIC,
    PACKINGS,
    Found,
    entry,
    gz,
    header,
    long_name,
    padded,
    pax,
    skippable,
    tar,
    zst,
)
from tests.unit.exports.hostile_zip import Zipped, zip64_end, zip64_extra, zipped

NOISE = random.Random(7).randbytes(300_000)


def _block_gzip(data: bytes) -> bytes:
    """As bgzip does: a gzip member for every 5,000 bytes, each with an extra field, and an empty one."""
    pieces = [data[at : at + 5000] for at in range(0, len(data), 5000)] + [b""]
    members = []
    for piece in pieces:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(piece) + packer.flush()
        extra = b"BC" + pack("<HH", 2, len(body) + 25)
        start = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + pack("<H", len(extra)) + extra
        members.append(start + body + pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(members)


def _named_gzip(data: bytes) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile("export.tar", "wb", fileobj=target, mtime=1) as packer:
        packer.write(data)
    return target.getvalue()


def _zstd_parts(data: bytes) -> bytes:
    """As pzstd does: a skippable frame with the size before each frame."""
    frames = [zst(data[at : at + 4000]) for at in range(0, len(data), 4000)]
    return b"".join(skippable(pack("<I", len(frame))) + frame for frame in frames)


def _zstd_streamed(data: bytes) -> bytes:
    """Without the size of the content, flushed often, into many small blocks."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [packer.compress(data[at : at + 700]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
             for at in range(0, len(data), 700)]  # fmt: skip
    return b"".join(parts) + packer.flush()


TWO = tar(entry(b"a", b"1"), entry(b"b", b"22"))
SMALL: Found = [("a", 1, b"1"), ("b", 2, b"22")]
LONG = b"/".join([b"p" * 255] * 4)[:1024]
DEEP = b"/".join([b"d"] * 32)
ONE = Zipped(b"a", b"1")
_FULL = 0xFFFFFFFF


def _streamed(signature: bytes, width: str, extra: bytes = b"") -> bytes:
    """A zip whose only member has its sizes in a descriptor, as Java, Go and `zip -` write them."""
    sizes = pack(f"<L2{width}", ONE.true_crc(), ONE.true_packed(), 1)
    unknown = _FULL if extra else 0
    return zipped(
        Zipped(b"a", b"1", flags=8, local_crc=0, local_size=unknown, local_packed=unknown, local_extra=extra,
               descriptor=signature + sizes)
    )  # fmt: skip


def _zip64_directory() -> bytes:
    body, directory = ONE.local(), ONE.central(0)
    return zipped(ONE, between=zip64_end(len(body), len(directory), 1), count=0xFFFF, length=_FULL, offset=_FULL)


def _zip64_member() -> bytes:
    return zipped(
        Zipped(b"a", b"1", method=0, size=_FULL, packed_size=_FULL, offset=_FULL, extra=zip64_extra(1, 1, 0),
               local_extra=zip64_extra(1, 1))
    )  # fmt: skip


A: Found = [("a", 1, b"1")]
SOUND: dict[str, tuple[bytes, Found]] = {
    "empty-tar": (bytes(10240), []),
    "empty-tar-gz": (gz(bytes(1024)), []),
    "empty-tar-zst": (zst(bytes(1024)), []),
    "empty-zip": (zipped(), []),
    "only-folders": (tar(entry(b"./", kind=b"5"), entry(b"a/", kind=b"5"), entry(b"a/b", kind=b"5")), []),
    "folder-named-dot": (tar(entry(b".", kind=b"5"), entry(b"./a", b"1")), A),
    "folder-twice": (tar(entry(b"d/", kind=b"5"), entry(b"d", kind=b"5"), entry(b"a", b"1")), A),
    "folder-after-its-file": (tar(entry(b"d/a", b"1"), entry(b"d/", kind=b"5")), [("d/a", 1, b"1")]),
    "folders-of-two-cases": (tar(entry(b"D/a"), entry(b"d/b")), [("D/a", 0, b""), ("d/b", 0, b"")]),
    "no-padding-after-end": (TWO, SMALL),
    "much-padding-after-end": (TWO + bytes(1 << 20), SMALL),
    "odd-padding-after-end": (TWO + bytes(99), SMALL),
    "old-magic": (tar(header(b"a", 1, magic=OLD_MAGIC) + padded(b"1")), A),
    "old-kind": (tar(entry(b"d/", kind=b"\0"), entry(b"a", b"1", b"\0")), A),
    "gnu-magic-with-times": (tar(header(b"a", 1, magic=GNU_MAGIC, prefix=b"14000000000\0" * 2) + padded(b"1")), A),
    "prefix": (tar(header(b"a", 1, prefix=b"p/q") + padded(b"1")), [("p/q/a", 1, b"1")]),
    "prefix-in-full": (tar(header(b"n" * 100, prefix=b"p" * 155)), [("p" * 155 + "/" + "n" * 100, 0, b"")]),
    "size-in-base-256": (tar(header(b"a", size_field=b"\x80" + bytes(10) + b"\1") + padded(b"1")), A),
    "size-with-spaces": (tar(header(b"a", size_field=b"          1 ") + padded(b"1")), A),
    "size-without-end": (tar(header(b"a", size_field=b"000000000001") + padded(b"1")), A),
    "size-empty": (tar(header(b"a", size_field=bytes(12))), [("a", 0, b"")]),
    "size-by-pax": (tar(pax((b"size", b"1")) + header(b"a", 0) + padded(b"1")), A),
    "size-by-pax-smaller": (tar(pax((b"size", b"1")) + header(b"a", 4096) + padded(b"1")), A),
    "padding-of-noise": (tar(header(b"a", 1) + b"1" + NOISE[:511]), A),
    "pax-path": (tar(pax((b"path", "ä".encode())) + entry(b"x", b"1")), [("ä", 1, b"1")]),
    "pax-path-with-equals": (tar(pax((b"path", b"a=b")) + entry(b"x", b"1")), [("a=b", 1, b"1")]),
    "pax-unknown-keywords": (tar(pax((b"SCHILY.xattr.user.x", b"\0\xff\n")) + entry(b"a", b"1")), A),
    "pax-binary-charset": (tar(pax((b"hdrcharset", b"BINARY"), (b"path", b"a")) + entry(b"x", b"1")), A),
    "pax-keyword-twice": (tar(pax((b"comment", b"1"), (b"comment", b"2")) + entry(b"a", b"1")), A),
    "pax-empty": (tar(entry(b"p", b"", b"x") + entry(b"a", b"1")), A),
    "pax-of-64-kib": (tar(pax((b"comment", b"x" * 65_518)) + entry(b"a", b"1")), A),
    "pax-global-comment": (tar(pax((b"comment", b"1234"), kind=b"g") + entry(b"a", b"1")), A),
    "pax-two-globals": (tar(pax((b"a", b"b"), kind=b"g") * 2 + entry(b"a", b"1")), A),
    "gnu-long-name": (tar(long_name(b"y" * 101) + entry(b"y" * 100, b"1")), [("y" * 101, 1, b"1")]),
    "gzip-with-name": (_named_gzip(TWO), SMALL),
    "gzip-with-long-name": (gz(TWO)[:3] + b"\x08" + gz(TWO)[4:10] + b"n" * 90_000 + b"\0" + gz(TWO)[10:], SMALL),
    "gzip-as-bgzip": (_block_gzip(TWO), SMALL),
    "gzip-of-each-byte": (b"".join(gz(TWO[at : at + 1]) for at in range(len(TWO))), SMALL),
    "gzip-padded-with-zeros": (gz(TWO) + bytes(512), SMALL),
    "gzip-with-empty-members": (gz(b"") * 5 + gz(TWO) + gz(b"") * 5, SMALL),
    "gzip-stored": (gzip.compress(TWO, 0), SMALL),
    "zstd-as-pzstd": (_zstd_parts(TWO), SMALL),
    "zstd-streamed": (_zstd_streamed(TWO), SMALL),
    "zstd-with-empty-frames": (zst(b"") * 3 + zst(TWO) + zst(b"") * 3, SMALL),
    "zstd-with-seek-table": (zst(TWO) + skippable(b"\1" * 90), SMALL),
    "descriptor": (_streamed(b"PK\7\b", "L"), A),
    "descriptor-without-signature": (_streamed(b"", "L"), A),
    "descriptor-wide": (_streamed(b"PK\7\b", "Q"), A),
    "descriptor-wide-without-signature": (_streamed(b"", "Q"), A),
    "descriptor-of-zip64": (_streamed(b"PK\7\b", "Q", zip64_extra(0, 0)), A),
    "zip64-directory": (_zip64_directory(), A),
    "zip64-member": (_zip64_member(), A),
    "zip-comment": (zipped(ONE, comment=b"c" * 65535), A),
    "zip-member-comment": (zipped(Zipped(b"a", b"1", comment=b"c" * 65535)), A),
    "zip-extra-padding": (zipped(Zipped(b"a", b"1", extra=bytes(3), local_extra=b"\x99\x99\1\0x\0")), A),
    "zip-extra-twice": (zipped(Zipped(b"a", b"1", extra=b"\x99\x99\1\0x" * 2)), A),
    "zip-second-name-alike": (zipped(Zipped(b"a", b"1", extra=pack("<HHBL", 0x7075, 6, 1, 0) + b"a")), A),
    "zip-without-mode": (zipped(Zipped(b"a", b"1", mode=0, host=0), Zipped(b"d/", mode=0, host=0)), A),
    "zip-deflated-folder": (zipped(Zipped(b"a", b"1"), Zipped(b"d/", mode=0o40755)), A),
    "zip-deflated-nothing": (zipped(Zipped(b"a", b"")), [("a", 0, b"")]),
    "zip-packed-with-flushes": (zipped(Zipped(b"a", b"1", packed=b"\0\0\0\xff\xff" * 9 + ONE.content())), A),
    "zip-inside-zip": (zipped(Zipped(b"a", zipped(ONE), method=0)), [("a", len(zipped(ONE)), zipped(ONE))]),
    "zip-level-flags": (zipped(Zipped(b"a", b"1", flags=6)), A),
    "zip-backslash-from-unix": (zipped(Zipped(b"b\\c", b"1")), [("b\\c", 1, b"1")]),
    "longest-path": (tar(long_name(LONG) + entry(b"x", b"1")), [(LONG.decode(), 1, b"1")]),
    "longest-path-behind-dot": (tar(pax((b"path", b"./" + LONG)) + entry(b"x", b"1")), [(LONG.decode(), 1, b"1")]),
    "deepest-path": (zipped(Zipped(DEEP, b"1")), [(DEEP.decode(), 1, b"1")]),
    "dots-in-names": (tar(entry(b"...", b"1"), entry(b"..a/b..")), [("...", 1, b"1"), ("..a/b..", 0, b"")]),
    "colons-in-names": (tar(entry(b"ab:c", b"1"), entry(b"d/e:f")), [("ab:c", 1, b"1"), ("d/e:f", 0, b"")]),
    "spaces-in-names": (tar(entry(b" ", b"1"), entry(b"  a ")), [(" ", 1, b"1"), ("  a ", 0, b"")]),
}  # fmt: skip


def in_every_format(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same members in every format."""
    tarred = tar(*(entry(path.encode(), data) for path, data in members.items()))
    archives = {kind: packed(tarred) for kind, packed in PACKINGS.items()}
    archives["zip"] = zipped(*(Zipped(path.encode(), data) for path, data in members.items()))
    archives["zip-stored"] = zipped(*(Zipped(path.encode(), data, method=0) for path, data in members.items()))
    return archives
