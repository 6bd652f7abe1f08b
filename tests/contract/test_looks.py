"""A look-up reads the same as the transaction does, from memory and in one SELECT of Postgres."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from service.domain.errors import InvalidInput, NotFound
from service.stores.look_rows import PostgresLooks
from service.stores.memory_looks import MemoryLooks
from service.stores.memory_registry import MemoryRegistry
from service.usecases.look_up import Looks, look_up
from service.usecases.model_ports import ModelDetails
from service.usecases.view_versions import Sight, View
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, environment, fill, new_version


@pytest.fixture
def looks(store: Registry, request: pytest.FixtureRequest) -> Iterator[Looks]:
    if isinstance(store, MemoryRegistry):
        yield MemoryLooks(store)
        return
    engine: sa.Engine = request.getfixturevalue("suite_engine")
    found = PostgresLooks(engine)
    yield found
    found.close()


def test_a_look_shows_what_a_transaction_shows(store: Registry, looks: Looks) -> None:
    fill(store, "a", "b", "c", "d")
    with store.transaction() as tx:
        tx.environments.put(environment("qa", ("Live",)))
        tx.models.add_version(new_version("wine", tags={"owner": "jane"}, description="text", creation_time=5))
        tx.models.set_details("iris", ModelDetails("", {}, {"champion": 2, "Live": 3}))
        assign(tx, assignment(1, minutes=1))
        assign(tx, assignment(1, "Staging", minutes=2))
        assign(tx, assignment(3, "Live", environment="qa", minutes=3))
    for name in ("prod", "qa", ""):
        for everything in (True, False):
            for model in ("iris", "wine", "absent"):
                _compare(store, looks, name, model, everything)


NUMBERS = (1, 2, 3, 4, 9)
ALIASES = ("champion", "live", "production", "latest", "absent")


def _compare(store: Registry, looks: Looks, name: str, model: str, everything: bool) -> None:
    with store.transaction() as tx:
        slow = Sight(tx.views, View(tx.environments.get(name) if name else None, everything), [model])
        expected: list[object] = [slow.latest([model]), slow.aliases(model)]
        expected += [slow.many([(model, number)]) for number in NUMBERS]
        expected += [_by_alias(slow, model, alias) for alias in ALIASES]
    quick = look_up(looks, name, model, everything=everything)
    found: list[object] = [quick.latest([model]), quick.aliases(model)]
    for number in NUMBERS:
        found.append(look_up(looks, name, model, number, everything=everything).many([(model, number)]))
    for alias in ALIASES:
        found.append(_by_alias(look_up(looks, name, model, alias=alias, everything=everything), model, alias))
    assert found == expected, (name, model, everything)


def _by_alias(sight: Sight, model: str, alias: str) -> object:
    try:
        return sight.by_alias(model, alias)
    except NotFound as error:
        return error.slug


def test_what_cannot_be_looked_up(store: Registry, looks: Looks) -> None:
    fill(store, "a")
    with pytest.raises(NotFound, match="environment"):
        look_up(looks, "absent", "iris", everything=True)
    if isinstance(looks, PostgresLooks):
        with pytest.raises(InvalidInput):
            looks.look("prod", "a\0b")
    assert look_up(looks, "prod", "iris", everything=True).one("iris", 1).known.version == 1
