"""A database in which the service has a role of its own, and a trail to tamper with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from service.domain.audit import Change
from service.domain.identity import OPERATOR
from service.embedded.postgres import SERVICE
from service.stores.migrate import grant_to
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.record_change import record

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def of_role(url: str, role: str) -> str:
    """The same database for another role."""
    return sa.make_url(url).set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def owner(fresh_url: str) -> Iterator[sa.Engine]:
    """Of the role that owns the tables, a superuser here."""
    engine = make_engine(fresh_url)
    grant_to(engine, lambda _: None, SERVICE)
    yield engine
    engine.dispose()


@pytest.fixture
def service(owner: sa.Engine, fresh_url: str) -> Iterator[sa.Engine]:
    """Of the role of the service."""
    engine = make_engine(of_role(fresh_url, SERVICE))
    yield engine
    engine.dispose()


@pytest.fixture
def trail(service: sa.Engine) -> PostgresRegistry:
    """Five rows, written by the service."""
    store = PostgresRegistry(service, JobQueue())
    for number in range(1, 6):
        with store.transaction() as tx:
            record(tx, Change("thing.changed", OPERATOR, after={"number": number}), NOON)
    return store
