"""One site for all tests of pulls in a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.embedded.objects import EmbeddedObjects
from service.embedded.parts import free_port
from service.embedded.postgres import EmbeddedPostgres
from tests.conftest import database_url
from tests.pulling.site import Site


@pytest.fixture(scope="session")
def shared_site(
    postgres: EmbeddedPostgres, admin_engine: sa.Engine, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with admin_engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE pulled TEMPLATE {template}"))
    objects = EmbeddedObjects(folder / "objects", free_port())
    objects.start()
    site = Site(database_url(postgres, "pulled"), objects, folder)
    try:
        yield site
    finally:
        site.stop()
        objects.stop()


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    yield shared_site
    shared_site.relay.rate = None
    shared_site.relay.shut = False


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "models" / "orders"
