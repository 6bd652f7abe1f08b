"""Real parts for all tests: one Postgres and one S3 server a session, a fresh database and bucket a test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_openapi3 import utils
from flask_openapi3.utils import get_model_schema
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from service.api.problem_documents import problem_document
from service.app import create_app
from service.domain.endpoint import AddressRules
from service.domain.identity import OPERATOR
from service.embedded.objects import EmbeddedObjects
from service.embedded.postgres import EmbeddedPostgres
from service.settings import S3Settings, Settings, WebhookSettings
from service.stores import tables
from service.stores.migrate import migrate
from service.stores.objects import S3Objects
from service.stores.postgres import make_engine
from service.usecases.manage_tokens import create_token
from service.usecases.run_import import Importer
from service.wiring import Parts, make_parts
from tests.documented import DocumentedClient

EXPORTS = Path(__file__).parent / "exports"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""Seals the secrets of the tests' webhooks."""
_numbers = itertools.count(1)


class ByFile(LoadScopeScheduling):
    """When tests run in several processes, a file stays in one; so do the crash tests, which count their kills."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/crash" if file.startswith("tests/crash/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def _each_schema_once() -> None:
    """Most of what an app takes to be made are the schemas of its payloads, which are those of the app before."""
    made = cache(get_model_schema)
    utils.get_model_schema = lambda model, mode="validation": deepcopy(made(model, mode))


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not below pytest's own folder: run as root, Postgres gets a user of its own, who may not enter that.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedObjects]:
    server = EmbeddedObjects(tmp_path_factory.mktemp("objects"))
    server.start()
    yield server
    server.stop()


def database_url(server: EmbeddedPostgres, name: str) -> str:
    # The server's address is in the query: only the database's name changes.
    url = sa.make_url(server.url).set(database=name).update_query_dict({"options": "-csearch_path=public"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def admin_engine(postgres: EmbeddedPostgres) -> Iterator[sa.Engine]:
    engine = sa.create_engine(database_url(postgres, "postgres"), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, admin_engine: sa.Engine) -> str:
    """A migrated database to copy: migrating takes seconds, copying a tenth of one."""
    with admin_engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE template_registry"))
    engine = make_engine(database_url(postgres, "template_registry"))
    migrate(engine, lambda _: None)
    engine.dispose()
    return "template_registry"


@pytest.fixture
def fresh_url(postgres: EmbeddedPostgres, admin_engine: sa.Engine, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with admin_engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield database_url(postgres, name)
    with admin_engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def settings(fresh_url: str, object_server: EmbeddedObjects) -> Settings:
    s3 = S3Settings(
        endpoint=object_server.endpoint,
        access_key=object_server.access_key,
        secret_key=object_server.secret_key,
        bucket=f"bucket-{next(_numbers)}",
    )
    S3Objects(s3).make_bucket()
    return Settings(
        database_url=fresh_url,
        s3=s3,
        public_url="http://127.0.0.1:5080",
        import_max_bytes=64 * 1024 * 1024,
        webhooks=WebhookSettings((KEY,), AddressRules.parse(("127.0.0.1/32",))),
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = make_engine(settings.database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def parts(settings: Settings, engine: sa.Engine) -> Iterator[Parts]:
    parts = make_parts(settings, engine)
    yield parts
    parts.resolver.following.stop()


@pytest.fixture
def importer(parts: Parts) -> Importer:
    return Importer(parts.store, parts.objects, parts.tracking, parts.clock, problem_document, signer=parts.signer)


@pytest.fixture
def token(parts: Parts) -> Callable[..., str]:
    def make(*scopes: str) -> str:
        return create_token(parts.store, parts.clock, OPERATOR, "test", scopes, None)[1]

    return make


@pytest.fixture
def run_imports(importer: Importer, engine: sa.Engine) -> Callable[[], int]:
    """Do the worker's work here and now; answers with the number of imports that were waiting."""

    def run() -> int:
        with engine.connect() as connection:
            waiting = connection.scalars(sa.select(tables.imports.c.id).where(tables.imports.c.state == "received"))
            ids = list(waiting)
        for import_id in ids:
            importer.run(import_id)
        return len(ids)

    return run


@pytest.fixture
def client(settings: Settings, parts: Parts, token: Callable[..., str]) -> FlaskClient:
    """A client of the API that carries an admin token."""
    app = create_app(settings, parts)
    client: FlaskClient = DocumentedClient(app, app.response_class)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token('admin')}"
    return client


def export(name: str) -> bytes:
    return (EXPORTS / f"{name}.tar.gz").read_bytes()
