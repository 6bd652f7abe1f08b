"""Every archive that must not be taken in is refused, for its own reason and naming its own culprit."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest

from service.domain.errors import ArchiveRefused, TooLarge
from service.exports.archive import Limits
from tests.unit.exports import cases_names, cases_packing, cases_tar, cases_zip
from tests.unit.exports.hostile import (
    PACKINGS,
    Case,
    entry,
    gz,
    header,
    long_name,
    pax,
    read_all,
    rle_frame,
    skip_all,
    tar,
    zst,
)
from tests.unit.exports.hostile_zip import Zipped, zipped

CASES = cases_names.CASES + cases_tar.CASES + cases_packing.CASES + cases_zip.CASES

LIMITS = Limits(ratio_from=1 << 20)

SOUND_TAR = tar(
    entry(b"run/", kind=b"5"),
    entry(b"run/run.json", b'{"mlflow": {}}'),
    pax((b"path", "run/artifacts/modèle".encode()), (b"mtime", b"1.5")) + entry(b"short", bytes(range(256)) * 3),
    long_name(b"run/artifacts/" + b"long" * 40 + b"/name") + entry(b"short", b"x" * 600),
    entry(b"run/empty", b""),
)
_STREAMED = Zipped(b"run/streamed", b"streamed " * 40, flags=8, local_crc=0, local_size=0, local_packed=0)
_STREAMED.descriptor = b"".join(
    number.to_bytes(4, "little") for number in (_STREAMED.true_crc(), _STREAMED.true_packed(), 360)
)
SOUND = {
    **{name: packed(SOUND_TAR) for name, packed in PACKINGS.items()},
    "zip": zipped(
        Zipped(b"run/", mode=0o040755, method=0),
        Zipped(b"run/run.json", b'{"mlflow": {}}', method=0),
        Zipped("run/artifacts/modèle".encode(), bytes(range(256)) * 3, flags=0x0800),
        _STREAMED,
        Zipped(b"run/empty", method=0),
        comment=b"a comment",
    ),
}


@pytest.mark.parametrize("consume", [read_all, skip_all], ids=["read", "skipped"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_is_refused_for_its_reason(case: Case, consume: Callable[[bytes, Limits], object]) -> None:
    with pytest.raises(case.error, match=case.words) as caught:
        consume(case.archive, case.limits)

    assert type(caught.value) is case.error
    assert caught.value.detail.startswith(("The archive ", "The member ", "The body "))
    # What a client is shown has to survive JSON and a log line.
    assert caught.value.detail.isprintable()
    if case.member is not None:
        assert caught.value.where["member"] == case.member
        assert f'"{case.member}"' in caught.value.detail


def test_no_two_cases_are_the_same_archive() -> None:
    assert len({(case.archive, case.limits) for case in CASES}) == len(CASES)
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kind", SOUND)
def test_the_archives_that_are_damaged_below_are_sound(kind: str) -> None:
    paths = [path for path, _, _ in read_all(SOUND[kind])]

    assert paths[:2] == ["run/run.json", "run/artifacts/modèle"]
    assert paths[-1] == "run/empty"
    assert len(paths) == 4


@pytest.mark.parametrize("kind", SOUND)
def test_every_truncation_is_refused(kind: str) -> None:
    archive = SOUND[kind]
    # A tar is whole as soon as both of its empty blocks are; ours ends with exactly these.
    for length in range(len(archive)):
        with pytest.raises(ArchiveRefused):
            skip_all(archive[:length])


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("seed", range(4))
def test_a_changed_byte_is_refused_or_changes_no_member(kind: str, seed: int) -> None:
    archive, expected = SOUND[kind], read_all(SOUND[kind])
    chance = random.Random(seed)
    refusals = 0
    for _ in range(500):
        damaged = bytearray(archive)
        at = chance.randrange(len(damaged))
        damaged[at] ^= 1 << chance.randrange(8)
        try:
            found = read_all(bytes(damaged), LIMITS)
        except (ArchiveRefused, TooLarge):
            refusals += 1
            continue
        if kind == "tar":  # which has no checksum over content and long names
            assert [size for _, size, _ in found] == [size for _, size, _ in expected], at
        else:
            assert found == expected, at
    assert refusals > 50


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("seed", range(4))
def test_damage_of_any_kind_ends_in_a_refusal(kind: str, seed: int) -> None:
    """Several cuts, doublings, noise and swaps at once: no other error, and no endless loop."""
    chance = random.Random(1000 + seed)
    refusals = 0
    for _ in range(300):
        damaged = SOUND[kind]
        for _ in range(chance.randrange(1, 4)):
            start, end = sorted(chance.randrange(len(damaged) + 1) for _ in range(2))
            piece = damaged[start:end]
            noise = chance.randbytes(chance.randrange(20))
            insert = chance.choice([b"", piece * 2, piece[::-1], noise, b"\xff" * len(noise), bytes(len(noise))])
            damaged = damaged[:start] + insert + damaged[end:]
        try:
            read_all(damaged, LIMITS)
        except (ArchiveRefused, TooLarge):
            refusals += 1
    assert refusals > 200


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_tar_header_with_a_right_checksum_raises_nothing_else(seed: int) -> None:
    """The checksum would hide what happens behind it, so it is set right again after the damage."""
    chance = random.Random(2000 + seed)
    limits = Limits(unpacked_bytes=1000)
    outcomes = set()
    for _ in range(1000):
        block = bytearray(header(b"run/x", 3))
        for _ in range(chance.randrange(1, 6)):
            block[chance.choice([*range(148), *range(156, 512)])] = chance.choice([0, 32, 48, 55, 128, 255])
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        try:
            read_all(tar(bytes(block) + b"abc".ljust(512, b"\0")), limits)
            outcomes.add("read")
        except (ArchiveRefused, TooLarge) as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"read", "ArchiveRefused", "TooLarge"}


MIB = 1 << 20
LARGE: dict[str, tuple[Callable[[], bytes], type[Exception]]] = {
    "tar-pax-header": (lambda: tar(header(b"p", 1 << 33, b"x")), TooLarge),
    "gzip-pax-header": (lambda: gz(header(b"p", 64 * MIB, b"x") + bytes(64 * MIB)), TooLarge),
    "gzip-cut-member": (lambda: gz(header(b"x", 99 * MIB) + bytes(64 * MIB)), ArchiveRefused),
    "gzip-parts": (lambda: gz(b"") * 100_000, ArchiveRefused),
    "zstd-cut-member": (lambda: zst(header(b"x", 99 * MIB) + bytes(64 * MIB)), ArchiveRefused),
    "zstd-rle-bomb": (lambda: rle_frame(512 * MIB, header(b"x", 512 * MIB)), TooLarge),
    "zip-member": (lambda: zipped(Zipped(b"x", bytes(64 * MIB), crc=1)), ArchiveRefused),
    "zip-size": (lambda: zipped(Zipped(b"x", b"", size=1 << 31)), TooLarge),
}


@pytest.mark.parametrize("name", LARGE)
def test_hostile_sizes_do_not_reach_memory(name: str) -> None:
    build, error = LARGE[name]
    archive = build()
    tracemalloc.start()
    try:
        with pytest.raises(error):
            skip_all(archive)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The archive itself is in memory before tracing begins.
    assert peak < 8 * MIB
