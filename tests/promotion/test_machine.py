"""Random walks through promotions end where a model of a hundred lines ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from service.stores.memory import MemoryRegistry
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.usecases.ports import RegistryStore
from tests.contract.registries import empty
from tests.promotion.machine import Promotions


def walk(make_store: Callable[[], RegistryStore], examples: int) -> None:
    machine = type("Machine", (Promotions,), {"make_store": staticmethod(make_store)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_in_memory() -> None:
    walk(MemoryRegistry, 2000)


@pytest.mark.slow
def test_on_postgres(fresh_url: str) -> None:
    engine = make_engine(fresh_url)

    def emptied() -> RegistryStore:
        empty(engine)
        return PostgresRegistry(engine, JobQueue())

    walk(emptied, 30)
    engine.dispose()
