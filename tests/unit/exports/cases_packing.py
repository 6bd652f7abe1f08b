"""Sound tars in compressed streams with one thing wrong, and bodies that are no archive at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from struct import pack

import zstandard

from service.domain.errors import TooLarge
from service.exports.archive import Limits
from tests.unit.exports.hostile import Case, entry, gz, header, rle_frame, skippable, tar, zst

NOISE = bytes(range(256)) * 40
SOUND = tar(entry(b"run/run.json", b"{}"), entry(b"run/noise", NOISE))
GZ = gz(SOUND)
ZST = zst(SOUND)
ZEROS = 8 << 20
BOMB = header(b"run/bomb", ZEROS) + bytes(ZEROS) + bytes(1024)
SMALL = Limits(ratio_from=1 << 20)
LOW = Limits(ratio=10, ratio_from=1 << 20)


def _changed(data: bytes, at: int, to: bytes) -> bytes:
    """`data` with the bytes at `at` (from the end if negative) replaced."""
    at %= len(data)
    assert data[at : at + len(to)] != to
    return data[:at] + to + data[at + len(to) :]


def _stored_gzip(data: bytes, *, checksum: int | None = None, length: int | None = None) -> bytes:
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    crc = zlib.crc32(data) if checksum is None else checksum
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + pack("<II", crc, len(data) if length is None else length)


def _raw_frame(data: bytes, *, kind: int = 0, size: int | None = None) -> bytes:
    """A zstd frame of one last block with a window of 8 MiB and no checksum."""
    fields = (len(data) if size is None else size) << 3 | kind << 1 | 1
    return b"\x28\xb5\x2f\xfd\x00\x68" + pack("<I", fields)[:3] + data


def _with_dictionary(data: bytes) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(NOISE * 4, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    packed = zstandard.ZstdCompressor(dict_data=dictionary).compress(data)
    # Raw dictionaries have no id, so one is put in: the descriptor's lowest bits, then one byte.
    return packed[:4] + bytes([packed[4] | 1]) + (b"" if packed[4] & 32 else packed[5:6]) + b"\7" + packed[5:]


_GZIP = [
    Case("gzip-crc", _changed(GZ, -8, bytes(4)), "gzip stream"),
    Case("gzip-length", _changed(GZ, -4, b"\1\2\3\4"), "gzip stream"),
    Case("gzip-crc-of-stored", _stored_gzip(SOUND, checksum=1), "gzip stream"),
    Case("gzip-length-of-stored", _stored_gzip(SOUND, length=1), "gzip stream"),
    Case("gzip-only-magic", b"\x1f\x8b", "truncated"),
    Case("gzip-header-only", GZ[:10], "truncated"),
    Case("gzip-without-trailer", GZ[:-8], "truncated"),
    Case("gzip-without-last-byte", GZ[:-1], "truncated"),
    Case("gzip-cut-in-half", GZ[: len(GZ) // 2], "truncated"),
    Case("gzip-other-method", _changed(GZ, 2, b"\7"), "gzip stream"),
    Case("gzip-reserved-flags", _changed(GZ, 3, b"\xe0"), "gzip stream"),
    Case("gzip-endless-name", _changed(GZ, 3, b"\x08")[:10] + b"n" * 100_000, "truncated"),
    Case("gzip-bad-block", GZ[:10] + b"\7" + GZ[11:], "gzip stream"),
    Case("gzip-and-text", GZ + b"and more", "after the end of its gzip"),
    Case("gzip-and-zip", GZ + b"PK\5\6" + bytes(18), "after the end of its gzip"),
    Case("gzip-and-zeros-and-text", GZ + bytes(5000) + b"x", "after the end of its gzip"),
    Case("gzip-and-half-a-magic", GZ + b"\x1f", "truncated"),
    Case("gzip-and-false-magic", GZ + b"\x1f\x8c\x08\0\0\0\0\0\0\xff", "gzip stream"),
    Case("gzip-and-cut-member", GZ + gz(bytes(512))[:-3], "truncated"),
    Case("gzip-and-second-archive", GZ + GZ, "after the end of its tar"),
    Case("gzip-of-nothing", gz(b""), "truncated"),
    Case("gzip-of-text", gz(b"hello" * 200), "is no tar"),
    Case("gzip-of-gzip", gz(GZ), "is no tar|truncated"),
    Case("gzip-of-zip", gz(b"PK\3\4" + NOISE), "is no tar"),
    Case("gzip-parts-of-nothing", gz(b"") * 2000 + GZ, "too many empty"),
    Case("gzip-bomb", gz(BOMB), "1000 times", error=TooLarge, limits=SMALL),
    Case("gzip-bomb-in-parts", gz(BOMB[:ZEROS]) + gz(BOMB[ZEROS:]), "1000 times", error=TooLarge, limits=SMALL),
    Case("gzip-bomb-low", gz(BOMB), "10 times", error=TooLarge, limits=LOW),
    Case("gzip-bomb-behind-noise", gz(entry(b"n", NOISE) + BOMB), "10 times", error=TooLarge, limits=LOW),
    Case("gzip-bomb-after-end", gz(SOUND + bytes(15 << 20)), "10 times", error=TooLarge, limits=LOW),
]

_ZSTD = [
    Case("zstd-checksum", _changed(ZST, -4, b"\1\2\3\4"), "zstd stream"),
    Case("zstd-only-magic", ZST[:4], "truncated"),
    Case("zstd-header-only", ZST[:6], "truncated"),
    Case("zstd-without-checksum", ZST[:-4], "truncated"),
    Case("zstd-without-last-byte", ZST[:-1], "truncated"),
    Case("zstd-cut-in-half", ZST[: len(ZST) // 2], "truncated"),
    Case("zstd-cut-raw-block", _raw_frame(SOUND)[:-1], "truncated"),
    Case("zstd-without-last-block", rle_frame(1 << 20, last=False), "truncated"),
    Case("zstd-and-text", ZST + b"and more", "after the end of its zstd"),
    Case("zstd-and-zeros", ZST + bytes(512), "after the end of its zstd"),
    Case("zstd-and-two-bytes", ZST + b"\x28\xb5", "truncated"),
    Case("zstd-and-gzip", ZST + GZ, "after the end of its zstd"),
    Case("zstd-and-second-archive", ZST + ZST, "after the end of its tar"),
    Case("zstd-and-cut-frame", ZST + ZST[:-9], "truncated|after the end of its tar"),
    Case("zstd-reserved-bit", _changed(ZST, 4, bytes([ZST[4] | 8])), "zstd stream"),
    Case("zstd-block-of-reserved-kind", _raw_frame(SOUND, kind=3), "block that cannot be"),
    Case("zstd-block-too-large", _raw_frame(bytes(1 << 18)), "block that cannot be"),
    Case("zstd-rle-block-too-large", _raw_frame(b"\0", kind=1, size=1 << 20), "block that cannot be"),
    Case("zstd-block-of-noise", _raw_frame(NOISE, kind=2), "zstd stream"),
    Case("zstd-window-too-large", b"\x28\xb5\x2f\xfd\x00\x98" + _raw_frame(SOUND)[6:], "zstd stream"),
    Case("zstd-dictionary", _with_dictionary(SOUND), "zstd stream"),
    Case("zstd-size-lies", _changed(ZST, 5, pack("<H", len(SOUND) - 256 - 1)), "zstd stream"),
    Case("zstd-of-nothing", zst(b""), "truncated"),
    Case("zstd-of-text", zst(b"hello" * 200), "is no tar"),
    Case("zstd-of-gzip", zst(GZ), "is no tar|truncated"),
    Case("zstd-skippable-only", skippable(b"hidden"), "truncated"),
    Case("zstd-skippable-cut", skippable(b"hidden")[:-1], "truncated"),
    Case("zstd-skippable-lies", pack("<II", 0x184D2A50, 1000) + ZST, "truncated"),
    Case("zstd-skippable-huge", pack("<II", 0x184D2A5F, 1 << 31) + ZST, "skippable"),
    Case("zstd-skippable-often", skippable(bytes(1 << 19)) * 3 + ZST, "skippable"),
    Case("zstd-empty-frames", _raw_frame(b"") * 2000 + ZST, "too many empty"),
    Case("zstd-empty-blocks", b"\x28\xb5\x2f\xfd\x00\x58" + bytes(3) * 2000, "too many empty"),
    Case("zstd-bomb", zst(BOMB), "1000 times", error=TooLarge, limits=SMALL),
    Case("zstd-rle-bomb", rle_frame(1 << 27, header(b"run/bomb", 1 << 27)), "1000 times", error=TooLarge),
    Case("zstd-rle-after-end", rle_frame(1 << 27, SOUND), "after the end of its tar"),
    Case("zstd-bomb-after-end", zst(SOUND + bytes(15 << 20)), "10 times", error=TooLarge, limits=LOW),
]

NO_ARCHIVE = {
    "nothing": b"",
    "one-byte": b"P",
    "text": b"an export, but not packed " * 40,
    "json": b'{"system": {}, "info": {}}' * 40,
    "html": b"<!doctype html><html><body>404</body></html>" * 20,
    "short-zeros": bytes(511),
    "zeros-then-cut-tar": SOUND[:300],
    "noise": NOISE,
    "bzip2": bz2.compress(SOUND),
    "xz": lzma.compress(SOUND),
    "lzma": lzma.compress(SOUND, lzma.FORMAT_ALONE),
    "compress": b"\x1f\x9d\x90" + NOISE,
    "seven-zip": b"7z\xbc\xaf\x27\x1c\0\4" + NOISE,
    "rar": b"Rar!\x1a\7\1\0" + NOISE,
    "cpio": b"070701" + b"0" * 600,
    "ar": b"!<arch>\n" + NOISE,
    "elf": b"\x7fELF" + NOISE,
    "zlib": zlib.compress(SOUND),
    "raw-deflate": gzip.compress(SOUND)[10:],
    "zip-after-text": b"MZ" + NOISE + b"PK\5\6" + bytes(18),
    "old-zstd": b"\x25\xb5\x2f\xfd" + NOISE,
    "zstd-dictionary-file": b"\x37\xa4\x30\xec" + NOISE,
    "gzip-after-a-byte": b"\n" + GZ + NOISE,
}

_UNKNOWN = [Case(f"no-archive-{name}", body, "not an archive") for name, body in NO_ARCHIVE.items()]

CASES = _GZIP + _ZSTD + _UNKNOWN
