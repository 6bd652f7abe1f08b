"""What the record beside a copy says, and which copies stand in for a stage while the registry is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.pulling.client import Registry
from service.pulling.placing import Target
from service.pulling.pulling import Options, Pulled
from tests.pulling.hostile import Hostile, hostile
from tests.pulling.site import REF

FILES = [("MLmodel", b"flavors"), ("code/predict.py", b"print()")]


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile() as server:
        yield server


@pytest.fixture
def registry(server: Hostile) -> Iterator[Registry]:
    registry = Registry(server.url, "secret", options=Options(via="files", retry_for=1))
    yield registry
    registry.close()


def about(server: Hostile, **changed: Any) -> None:
    """Let the registry say something else of the same bytes, at each stage."""
    for name in ("Production", "files"):
        status, headers, body = server.answers[name][-1]
        server.answers[name] = [(status, headers, json.dumps({**json.loads(body), **changed}).encode())]
    server.answers["Staging"] = server.answers["Production"]


def record_of(to: Path) -> Path:
    return Path(f"{to.resolve()}.json")


def test_the_record_follows_the_registry(server: Hostile, registry: Registry, to: Path) -> None:
    """Equal bytes are not brought again, under whatever name and number they are registered."""
    digest = server.holds(FILES)
    assert registry.pull(REF, to).version == 3
    folder = to.resolve()
    about(server, version=5)
    assert registry.pull(REF, to) == Pulled("orders", 5, digest, to, changed=False)
    assert registry.last(to) == Pulled("orders", 5, digest, to, changed=False, offline=True)
    about(server, model="returns", version=1)
    assert registry.pull("prod/returns/Production", to) == Pulled("returns", 1, digest, to, changed=False)
    placed = Target(to).current()
    assert placed is not None
    assert (placed.folder, placed.origin.model, placed.origin.version) == (folder, "returns", 1)
    assert [path for path, _ in server.seen if "/object/" in path] == ["/object/0", "/object/1"]


def test_a_command_is_told_the_name_and_number_of_now(server: Hostile, registry: Registry, to: Path) -> None:
    told: list[Pulled] = []
    server.holds(FILES)
    registry.pull(REF, to)
    other = server.holds([("MLmodel", b"other")])
    registry.pull(REF, to)
    assert server.holds(FILES) != other
    about(server, model="returns", version=9)
    registry.pull("prod/returns/Production", to, hook=told.append)
    assert [(pulled.model, pulled.version, pulled.changed) for pulled in told] == [("returns", 9, True)]
