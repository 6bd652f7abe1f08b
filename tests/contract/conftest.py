"""Each implementation of a port in turn, for one suite that holds all of them to its contract."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from minio import Minio

from service.embedded.objects import EmbeddedObjects
from service.embedded.postgres import EmbeddedPostgres
from service.settings import S3Settings
from service.stores.memory import MemoryObjects, MemoryRegistry
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine
from service.usecases.object_ports import ObjectStore
from tests.conftest import database_url
from tests.contract.registries import Registry, SeededPostgres, empty
from tests.parts.seaweedfs import SeaweedFS

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["object_server", "seaweedfs"], ids=["embedded", "seaweedfs"])
def s3_settings(request: pytest.FixtureRequest) -> Iterator[S3Settings]:
    with fresh_bucket(request.getfixturevalue(request.param)) as settings:
        yield settings


@pytest.fixture
def s3_objects(s3_settings: S3Settings) -> S3Objects:
    return S3Objects(s3_settings)


@pytest.fixture(params=["memory", "object_server", "seaweedfs"], ids=["memory", "embedded", "seaweedfs"])
def objects(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryObjects()
        return
    with fresh_bucket(request.getfixturevalue(request.param)) as settings:
        yield S3Objects(settings)


@contextmanager
def fresh_bucket(server: EmbeddedObjects | SeaweedFS) -> Iterator[S3Settings]:
    """Removed afterwards, because SeaweedFS reserves volumes for each bucket."""
    settings = S3Settings(server.endpoint, server.access_key, server.secret_key, f"contract-{next(_numbers)}")
    objects = S3Objects(settings)
    objects.make_bucket()
    yield settings
    client = Minio(urlsplit(server.endpoint).netloc, server.access_key, server.secret_key, secure=False)
    for item in client.list_objects(settings.bucket, recursive=True):
        client.remove_object(settings.bucket, item.object_name or "")
    client.remove_bucket(settings.bucket)


@pytest.fixture(scope="session")
def suite_engine(postgres: EmbeddedPostgres, admin_engine: sa.Engine, template: str) -> Iterator[sa.Engine]:
    with admin_engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE contract TEMPLATE {template}"))
    engine = make_engine(database_url(postgres, "contract"))
    yield engine
    engine.dispose()


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Registry:
    """An empty registry. On Postgres one database serves the suite: emptying it is faster than making another."""
    if request.param == "memory":
        return MemoryRegistry()
    engine: sa.Engine = request.getfixturevalue("suite_engine")
    empty(engine)
    return SeededPostgres(engine)
