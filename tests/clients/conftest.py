"""A running registry, and the clients that meet it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from tests.clients.environments import Client, PythonMissingError, prepare
from tests.e2e.conftest import service

__all__ = ["service"]


@cache
def lacking(client: Client) -> str:
    """Why the client cannot be had; '' when it is there."""
    try:
        prepare(client)
    except PythonMissingError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def need() -> Callable[[Client], None]:
    """Skips the test when the client's Python is missing."""

    def needed(client: Client) -> None:
        if reason := lacking(client):
            pytest.skip(reason)

    return needed
