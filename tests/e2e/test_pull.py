"""`model-registry pull` against a running registry."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.conftest import Service
from tests.e2e.pulls import Done, Stage, contents, pull
from tests.small_exports import MLMODEL

FIRST = {"model.pkl": b"41", "data/a b/ü#?%.bin": random.Random(1).randbytes(3_000_000), "empty": b""}
SECOND = {"model.pkl": b"42", "code/predict.py": b"print()"}


@pytest.fixture(scope="module")
def stage(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(service, tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def versions(stage: Stage) -> tuple[int, int]:
    return stage.register(FIRST), stage.register(SECOND)


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "models" / "orders"


@pytest.mark.parametrize("via", ["auto", "files", "archive"])
def test_pull(via: str, stage: Stage, versions: tuple[int, int], to: Path) -> None:
    first, second = versions
    digest = stage.hold(first)
    placed = pull(stage.service, to, "--via", via)
    assert placed == Done(0, f"placed orders {first} {digest}\n", placed.err)
    assert contents(to) == {**FIRST, "MLmodel": MLMODEL}
    assert f"orders version {first}" in placed.err
    assert "100 %" in placed.err
    again = pull(stage.service, to, "--via", via)
    assert again == Done(0, f"unchanged orders {first} {digest}\n", "")
    after = stage.hold(second)
    assert pull(stage.service, to, "--via", via, "--quiet") == Done(0, f"placed orders {second} {after}\n", "")
    assert contents(to) == {**SECOND, "MLmodel": MLMODEL}
    beside = to.with_name("orders.versions")
    assert contents(beside / digest.removeprefix("sha256:")) == {**FIRST, "MLmodel": MLMODEL}
