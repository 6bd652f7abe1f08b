"""An object store that stands still: whoever asks for bytes hears of it in time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from service.app import create_app
from service.embedded.objects import EmbeddedObjects
from service.settings import Settings
from service.wiring import HURRIED, make_parts
from tests.api.problems import problem

PRODUCTION = "/v1/environments/prod/models/orders/stages/Production"


@contextmanager
def standing_still(server: EmbeddedObjects) -> Iterator[None]:
    assert server._child is not None
    group = server._child.pid
    assert group is not None
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.fixture
def hurried(filled: FlaskClient, settings: Settings, engine: sa.Engine, token: Callable[..., str]) -> FlaskClient:
    """The API as gunicorn serves it."""
    client = create_app(settings, make_parts(settings, engine, HURRIED)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token('admin')}"
    return client


def test_bytes_are_refused_in_time_and_the_rest_is_answered(
    hurried: FlaskClient, object_server: EmbeddedObjects
) -> None:
    assert hurried.get(f"{PRODUCTION}/archive").status_code == 200
    with standing_still(object_server):
        for below in ("archive", "files/model.pkl?stream=1"):
            began = time.monotonic()
            problem(hurried.get(f"{PRODUCTION}/{below}"), 503, "unavailable", part="s3")
            assert time.monotonic() - began < 5
        began = time.monotonic()
        assert hurried.get(PRODUCTION).get_json()["version"] == 1
        assert hurried.get(f"{PRODUCTION}/files").status_code == 200  # URLs are signed here
        assert time.monotonic() - began < 1
    assert hurried.get(f"{PRODUCTION}/archive").status_code == 200
