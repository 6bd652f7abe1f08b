"""What MLflow's clients do with the registry, call by call, and the table that tells it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.clients.compatibility import AREAS, DOCUMENT, MARK, tabled, written
from tests.clients.conftest import lacking
from tests.clients.environments import MLFLOW, Client
from tests.clients.running import Outcome, run_scenario
from tests.e2e.conftest import Service

NAMES = [client.name for client in MLFLOW]
AT_ONCE = 3
ENVIRONMENT = "lab"
"""Where all clients meet, each under names of its own."""


@pytest.fixture(scope="module")
def outcomes(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    """By client and area; of the clients that can be had."""
    assert service.put(f"/v1/environments/{ENVIRONMENT}", {}).status_code == 201
    folder = tmp_path_factory.mktemp("clients")

    def run(case: tuple[Client, str]) -> Outcome:
        client, area = case
        uri = f"{service.url}/environments/{ENVIRONMENT}"
        prefix = f"c{client.name.replace('.', '-')}-{area}"
        return run_scenario(client, area, uri, service.token, folder / prefix, SCENARIO_PREFIX=prefix)

    # The longest first, so that none of them is alone at the end.
    cases = [(client, area) for area, client in product(AREAS, MLFLOW) if not lacking(client)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            (client.name, area): outcome for (client, area), outcome in zip(cases, pool.map(run, cases), strict=True)
        }


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("client", MLFLOW, ids=NAMES)
def test_calls(
    outcomes: dict[tuple[str, str], Outcome], need: Callable[[Client], None], client: Client, area: str
) -> None:
    need(client)
    outcome = outcomes[client.name, area]
    failed = [f"{proof.call}: {proof.why}" for proof in outcome.proofs if proof.state == "failed"]
    assert failed == [], "\n".join(failed)
    assert outcome.returned == 0, outcome.log[-3000:]
    assert any(proof.state == "proven" for proof in outcome.proofs)


def test_the_table_tells_what_was_proven(outcomes: dict[tuple[str, str], Outcome]) -> None:
    table = tabled({key: outcome.proofs for key, outcome in outcomes.items()})
    ran = [name for name in NAMES if (name, "tracking") in outcomes]
    ours, mark, committed = DOCUMENT.read_text().partition(MARK)
    assert mark
    if os.environ.get("WRITE_COMPATIBILITY"):
        assert ran == NAMES, "a client is left out"
        assert all(proof.state != "failed" for outcome in outcomes.values() for proof in outcome.proofs)
        DOCUMENT.write_text(f"{ours}{MARK}{written(table, NAMES)}")
        return
    assert columns(written(table, NAMES), ran) == columns(committed, ran), "`make compatibility` writes it anew"


def columns(text: str, clients: list[str]) -> list[list[str]]:
    """The rows of the tables in `text` as far as they are about `clients`."""
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines() if line.startswith("| ")]
    wanted = [0, *(1 + NAMES.index(client) for client in clients)]
    kept = [[row[i] for i in wanted] for row in rows]
    return [row for row in kept if any(row[1:])]
