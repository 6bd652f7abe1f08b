"""YAML that may be hostile is read as plain data, or not at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.exports.plain_yaml import MAX_SIZE, read_yaml

TAGS = ("bool", "int", "float", "binary", "timestamp", "omap", "pairs", "set", "str", "seq", "map", "null", "other")
VALUES = ("", "foo", "+", "-", "0b", "0x", ":", "1:", "_", ".", "2001-99-01", "1e999", "[]", "{}", "{a: b}", "[a, [b]]")
SCALARS = st.sampled_from(VALUES) | st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: f'"{text}"')


@given(st.sampled_from(TAGS), SCALARS)
def test_any_tag_with_any_value(tag: str, value: str) -> None:
    for text in (f"x: !!{tag} {value}", f"!!{tag} {value}: x", f'x: !!{tag} "{value}"'):
        read_yaml(text.encode())


@pytest.mark.parametrize(
    "text", ["!!bool foo", '!!int ""', '!!float ""', "!!timestamp foo", "!!int foo", "!!map foo", "!!omap foo"]
)
def test_a_tag_that_does_not_fit_its_value(text: str) -> None:
    assert read_yaml(f"x: {text}".encode()) is None
    assert read_yaml(f"x: !!str {text.partition(' ')[2]}".encode()) is not None


@pytest.mark.parametrize("text", ["1" + ":1" * 400_000, '!!int "1' + ":1" * 400_000 + '"'])
def test_a_long_number_takes_no_time(text: str) -> None:
    began = time.monotonic()
    assert read_yaml(f"x: {text}".encode()) is None
    assert time.monotonic() - began < 5


def test_a_long_text_is_read() -> None:
    text = "1:" * (MAX_SIZE // 3)
    assert read_yaml(f"x: '{text}'".encode()) == {"x": text}
