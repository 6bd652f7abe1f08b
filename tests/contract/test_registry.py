"""What holds for every noun of a registry: transactions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from service.domain.errors import InvalidInput, NotFound, Unavailable
from service.embedded.parts import free_port
from service.stores.memory import MemoryRegistry
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.model_ports import ModelDetails
from service.usecases.ports import Transaction
from tests.contract.registries import Registry
from tests.contract.samples import (
    assign,
    assignment,
    at,
    environment,
    fill,
    new_import,
    new_version,
    token,
    workspace,
)


class Interrupted(Exception):
    """Nothing that a store knows."""


def everything(store: Registry) -> list[object]:
    """All that can be read from a store."""
    with store.transaction() as tx:
        read: list[object] = [
            *tx.workspaces.list(),
            *tx.environments.list(),
            *tx.tokens.list(),
            *tx.imports.list(None, 100, None),
            *tx.models.list(),
            *(tx.models.version(model.name, number) for model in tx.models.list() for number in model.versions),
            *tx.stages.list("prod"),
        ]
    return [*read, *store.queued(), *store.transitions()]


def change_everything(tx: Transaction) -> None:
    tx.workspaces.put(workspace("dev", kind="mlflow"))
    tx.workspaces.put(workspace("other"))
    tx.environments.put(environment("prod", ("Production", "Gone")))
    tx.environments.put(environment("qa"))
    tx.tokens.add(token(), b"another hash")
    tx.tokens.revoke(tx.tokens.list()[0].id, at(1))
    tx.imports.add(new_import("b"), None)
    first = tx.imports.list(None, 100, None)[-1].id
    tx.imports.start(first, at(2))
    tx.imports.progress(first, 1, {"rows": 1})
    tx.models.add_version(new_version("new", content="c"))
    tx.models.add_version(new_version("iris", content="d"))
    tx.models.set_details("iris", ModelDetails("text", {"tag": "value"}, {"alias": 1}))
    assign(tx, assignment(3))
    tx.environments.delete("qa")


@pytest.fixture
def filled(store: Registry) -> Registry:
    fill(store, "a", "b")
    with store.transaction() as tx:
        tx.tokens.add(token(), b"a hash")
        tx.imports.add(new_import("a"), None)
        assign(tx, assignment(1))
    return store


def test_a_transaction_is_kept(filled: Registry) -> None:
    before = everything(filled)
    with filled.transaction() as tx:
        change_everything(tx)
    after = everything(filled)
    assert len(after) > len(before)
    assert everything(filled) == after


def change_and_raise(store: Registry, error: BaseException) -> None:
    with store.transaction() as tx:
        change_everything(tx)
        raise error


@pytest.mark.parametrize("error", [Interrupted(), NotFound("model", "x"), KeyboardInterrupt()], ids=repr)
def test_an_exception_rolls_everything_back(filled: Registry, error: BaseException) -> None:
    before = everything(filled)
    with pytest.raises(type(error)) as caught:
        change_and_raise(filled, error)
    assert caught.value is error
    assert everything(filled) == before
    with filled.transaction() as tx:
        assert tx.models.add_version(new_version(content="kept")).version == 3


def test_a_transaction_may_go_on_after_something_was_not_found(filled: Registry) -> None:
    with filled.transaction() as tx:
        with pytest.raises(NotFound):
            tx.models.get("absent")
        tx.workspaces.put(workspace("kept"))
    with filled.transaction() as tx:
        assert tx.workspaces.get("kept").name == "kept"


def test_a_transaction_sees_its_own_changes(filled: Registry) -> None:
    with filled.transaction() as tx:
        change_everything(tx)
        assert tx.workspaces.get("other").name == "other"
        assert tx.stages.current("prod", "iris", "Production")[1].version == 3
        assert tx.models.get("iris").aliases == {"alias": 1}


def test_check(store: Registry) -> None:
    store.check()


def test_postgres_that_is_not_migrated_is_unavailable(fresh_url: str) -> None:
    engine = make_engine(fresh_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE registry.alembic_version SET version_num = '0000'"))
    with pytest.raises(Unavailable):
        PostgresRegistry(engine, JobQueue()).check()
    engine.dispose()


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"], ids=["NUL", "lone surrogate"])
def test_postgres_says_which_text_it_cannot_hold(suite_engine: sa.Engine, text: str) -> None:
    store = PostgresRegistry(suite_engine, JobQueue())
    calls: list[Callable[[Transaction], object]] = [
        lambda tx: tx.workspaces.put(workspace("w", description=text)),
        lambda tx: tx.workspaces.get(text),
        lambda tx: tx.models.get(text),
        lambda tx: tx.models.add_version(new_version(text)),
        lambda tx: tx.stages.current("prod", text, "Production"),
    ]
    for call in calls:
        with pytest.raises(InvalidInput), store.transaction() as tx:
            call(tx)


def _read(store: PostgresRegistry) -> None:
    with store.transaction() as tx:
        tx.workspaces.list()


@pytest.mark.parametrize("call", [PostgresRegistry.check, _read])
def test_postgres_that_is_not_there_is_unavailable(call: Callable[[PostgresRegistry], None]) -> None:
    engine = make_engine(f"postgresql+psycopg2://user:secret@127.0.0.1:{free_port()}/registry")
    with pytest.raises(Unavailable) as caught:
        call(PostgresRegistry(engine, JobQueue()))
    assert "secret" not in caught.value.detail
    assert "127.0.0.1" not in caught.value.detail


def test_memory_says_so_when_transactions_are_nested() -> None:
    store = MemoryRegistry()
    with store.transaction(), pytest.raises(RuntimeError, match="inside a transaction"), store.transaction():
        pass
    store.check()
