"""Rows of what differs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.comparison import MAX_ROWS, MAX_TEXT, Row, Section, compare, flat


def test_every_change() -> None:
    before = {"a": 1, "b": "x", "c": None, "e": {"k": [1]}}
    after = {"a": 1, "b": "y", "d": None, "e": {"k": [2]}}
    rows = (
        Row("b", "changed", "x", "y"),
        Row("c", "removed", None, None),
        Row("d", "added", None, None),
        Row("e", "changed", {"k": [1]}, {"k": [2]}),
    )
    assert compare(before, after) == Section(rows, 1)
    assert compare(before, after, equal=True) == Section((Row("a", "same", 1, 1), *rows), 1)


def test_it_is_bounded() -> None:
    found = compare({}, {f"{number:05}": "x" * 9999 for number in range(MAX_ROWS + 5)}, notes=("a note",))
    assert (len(found.rows), found.left_out, found.same, found.notes) == (MAX_ROWS, 5, 0, ("a note",))
    assert found.rows[0].after == "x" * (MAX_TEXT - 1) + "…"
    (row,) = compare({"n" * 9999: [1] * 9999}, {}).rows
    assert (len(row.name), len(row.before)) == (MAX_TEXT, MAX_TEXT)


def test_long_values_are_compared_as_a_whole() -> None:
    (row,) = compare({"a": "x" * 9999 + "1"}, {"a": "x" * 9999 + "2"}).rows
    assert row.change == "changed"


def test_flat() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [{"e": 1}], "f": None}) == {
        "a.b": 1,
        "a.c": {},
        "d": [{"e": 1}],
        "f": None,
    }
    assert flat({}) == {}


values = st.dictionaries(st.text(max_size=3), st.integers(0, 2) | st.text(max_size=2), max_size=6)


@given(values, values)
def test_back_is_forth_turned_round(before: dict[str, object], after: dict[str, object]) -> None:
    turned = {"added": "removed", "removed": "added"}
    forth, back = compare(before, after, equal=True), compare(after, before, equal=True)
    assert [(row.name, turned.get(row.change, row.change), row.after, row.before) for row in forth.rows] == [
        (row.name, row.change, row.before, row.after) for row in back.rows
    ]
    assert forth.same + len(compare(before, after).rows) == len({*before, *after})
