"""What the registry lets a version hold, a puller places."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.errors import InvalidInput
from service.domain.file_names import NAME_BYTES, check_files
from service.domain.model import Manifest, ManifestFile
from service.pulling.errors import Damaged
from service.pulling.manifest import read_manifest

SEGMENTS = st.one_of(
    st.sampled_from(["a", "b", "A", "..", ".", "", "ü", "\x85", "\u2028", "\u2029", "\x7f", "\ud800", "a\\b", "C:"]),
    st.text(st.characters(), max_size=3),
    st.integers(NAME_BYTES - 2, NAME_BYTES + 1).map(lambda size: "x" * size),
    st.integers(NAME_BYTES // 2 - 1, NAME_BYTES // 2 + 1).map(lambda size: "ü" * size),
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


def may_be_registered(paths: list[str]) -> bool:
    try:
        check_files(paths)
    except InvalidInput as error:
        error.detail.encode()  # can be told
        return False
    return True


def is_placed(paths: list[str]) -> bool:
    rows = [ManifestFile(path, 1, "0" * 64) for path in paths]
    try:
        read_manifest([vars(row) for row in rows], Manifest.of(rows).digest)
    except (Damaged, UnicodeEncodeError):  # there is no digest of a text that is not Unicode
        return False
    return True


@given(st.lists(PATHS, max_size=4))
@example(["a", "a/b"])
@example(["a/b/c", "a"])
@example(["a", "a"])
@example(["a/b", "a-b", "a"])
@example(["model\x85.pkl"])
@example(["line\u2028.txt"])
@example(["x" * 256])
@example(["ü" * 127 + "x", "data/A", "data/a"])
def test_the_registry_and_its_puller_take_the_same_names(paths: list[str]) -> None:
    assert may_be_registered(paths) == is_placed(paths)
