"""What an MLmodel file may say."""

from __future__ import annotations

from collections import Counter

import pytest

from service.exports.mlmodel import MAX_SIZE, MLmodel, read_mlmodel
from service.exports.plain import MAX_DEPTH
from tests.small_exports import MLMODEL, RUN, Files, model_export
from tests.unit.exports.surveying import surveyed


def test_mlmodel() -> None:
    text = (
        MLMODEL
        + b"""
  outputs: null
  params: '[]'
saved_input_example_info: {artifact_path: input_example.json}
"""
    )
    assert read_mlmodel(text) == MLmodel(
        flavors={"python_function": {"loader_module": "mlflow.sklearn"}},
        signature={"inputs": [{"name": "x", "type": "double"}], "outputs": None, "params": []},
        input_example=True,
    )


def test_flavors_become_plain_data() -> None:
    text = b"""
flavors:
  1: {nan: .nan, inf: -.inf, big: 0x1%s, day: 2026-01-31, yes: true, none: ~, bytes: !!binary aGk=}
  2026-01-31: [1, 2.5]
  set: !!set {a: null}
""" % (b"0" * 5000)
    mlmodel = read_mlmodel(text)
    assert mlmodel is not None
    assert mlmodel.flavors == {
        "1": {
            "nan": "NaN",
            "inf": "-Infinity",
            "big": "0x1" + "0" * 5000,
            "day": "2026-01-31",
            "True": True,
            "none": None,
            "bytes": "b'hi'",
        },
        "2026-01-31": [1, 2.5],
        "set": ["a"],
    }


BOMB = b"a: &a [x]\n" + b"".join(
    b"b%d: &b%d [*%s, *%s]\n" % (n, n, at, at) for n, at in ((0, b"a"), (1, b"b0"), (2, b"b1"))
)
HOSTILE = {
    "empty": b"",
    "not a mapping": b"- a\n- b\n",
    "plain text": b"hello",
    "not YAML": b"{]",
    "a tab": b"a:\n\t- b",
    "not UTF-8": b"flavors: {a: \xff}",
    "two documents": b"flavors: {}\n---\nflavors: {}\n",
    "no flavors": b"artifact_path: model\n",
    "flavors of another type": b"flavors: [sklearn]\n",
    "null flavors": b"flavors:\n",
    "bomb of aliases": BOMB + b"flavors: {a: *b2}\n",
    "a single alias": b"a: &a {}\nflavors: *a\n",
    "an alias that holds itself": b"flavors: &a {a: *a}\n",
    "deep flow": b"flavors: {a: " + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep blocks": b"flavors:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, MAX_DEPTH + 2)),
    "a Python object": b"flavors: !!python/object/apply:os.system [id]\n",
    "a Python object inside": b"flavors: {a: !!python/name:os.system }\n",
    "a key that is a list": b"flavors: {? [a, b] : c}\n",
    "a number that is too long": b"flavors: {a: " + b"9" * 5000 + b"}\n",
    "a time that is none": b"flavors: {a: 2026-99-99}\n",
    "NUL in a text": b'flavors: {a: "b\\0"}\n',
    "NUL in a key": b'flavors: {"a\\0": b}\n',
    "half of a surrogate pair": b'flavors: {a: "\\ud800"}\n',
    "too large": b"flavors: {}\n#" + b" " * MAX_SIZE,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_mlmodel_says_nothing(case: str) -> None:
    assert read_mlmodel(HOSTILE[case]) is None


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("null", None),
        ("text", None),
        ("[inputs]", None),
        ("{}", None),
        ("{inputs: null}", None),
        ("{inputs: ''}", None),
        ("{inputs: 'not JSON'}", {"inputs": "not JSON", "outputs": None, "params": None}),
        ("{inputs: '[1'}", {"inputs": "[1", "outputs": None, "params": None}),
        ("{inputs: [{type: long}]}", {"inputs": [{"type": "long"}], "outputs": None, "params": None}),
        ("{inputs: '[NaN]'}", {"inputs": ["NaN"], "outputs": None, "params": None}),
        # What no database holds stays as the text that it was in the file.
        (r"""{inputs: '["\ud800"]'}""", {"inputs": r'["\ud800"]', "outputs": None, "params": None}),
        (r"""{inputs: '["\u0000"]'}""", {"inputs": r'["\u0000"]', "outputs": None, "params": None}),
        (
            "{inputs: '" + "[" * 65 + "]" * 65 + "'}",
            {"inputs": "[" * 65 + "]" * 65, "outputs": None, "params": None},
        ),
        (
            "{inputs: '" + "[" * 5000 + "]" * 5000 + "'}",
            {"inputs": "[" * 5000 + "]" * 5000, "outputs": None, "params": None},
        ),
    ],
)
def test_signatures(signature: str, expected: object) -> None:
    mlmodel = read_mlmodel(f"flavors: {{}}\nsignature: {signature}\n".encode())
    assert mlmodel is not None
    assert mlmodel.signature == expected


def test_a_hostile_mlmodel_does_not_spoil_the_survey() -> None:
    files: Files = {**model_export(), f"{RUN}/artifacts/model/MLmodel": HOSTILE["bomb of aliases"]}
    found = surveyed(files)
    assert found.mlmodels == {}
    assert Counter(file.path for file in found.artifacts[RUN]) == {"model/MLmodel": 1, "model/model.pkl": 1}
