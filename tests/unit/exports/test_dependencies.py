"""What a version says that it needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.exports.dependencies import MAX_SIZE, read_conda, read_requirements


def test_requirements() -> None:
    text = """\
# made by hand
mlflow==2.22.5
Scikit_Learn == 1.5.0  # pinned
pandas[sql]>=2,<3; python_version > "3.10"
numpy
--index-url https://jane:secret@pypi.example/simple
--extra-index-url https://pypi.example/a
--extra-index-url https://pypi.example/b
-r other.txt
torch @ https://user:pw@files.example/torch.whl
https://files.example/own.whl
scipy \\
  ==1.14
"""
    assert read_requirements(text.encode()) == {
        "mlflow": "==2.22.5",
        "scikit-learn": "== 1.5.0",
        "pandas": '[sql]>=2,<3; python_version > "3.10"',
        "numpy": "",
        "--index-url": "https://pypi.example/simple",
        "--extra-index-url": "https://pypi.example/a https://pypi.example/b",
        "-r": "other.txt",
        "torch": "@ https://files.example/torch.whl",
        "https://files.example/own.whl": "",
        "scipy": "==1.14",
    }


def test_conda() -> None:
    text = b"""\
channels: [conda-forge]
dependencies:
- python=3.11.4
- pip<=24.0
- pip: [mlflow==2.22.5, Scikit_Learn==1.5.0, {odd: 1}]
- 7
name: mlflow-env
"""
    own, pip = read_conda(text) or ({}, {})
    assert own == {"python": "=3.11.4", "pip": "<=24.0"}
    assert pip == {"mlflow": "==2.22.5", "scikit-learn": "==1.5.0"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"dependencies: python",
        b"dependencies: &a [*a]",
        b"\xff",
        b"a: !!python/object/apply:os.system [ls]",
        b"dependencies: [python]\n#" + b"x" * MAX_SIZE,
        b"dependencies: " + b"[" * 5000,
    ],
    ids=range(8),
)
def test_what_is_no_conda_file(data: bytes) -> None:
    assert read_conda(data) is None


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\n" * MAX_SIZE], ids=["no text", "too much"])
def test_what_is_no_requirements_file(data: bytes) -> None:
    assert read_requirements(data) is None


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_can_be_asked(data: bytes) -> None:
    read_conda(data)
    assert "secret@" not in str(read_requirements(data.replace(b"@", b"") + b"\nx @ https://u:secret@h/") or "")
