"""The same line of code, in each environment the bytes of its own Production; a rollback changes one of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.clients.conftest import lacking
from tests.clients.environments import MLFLOW, Client
from tests.clients.running import run_scenario
from tests.clients.scenarios.answering import LOADER, MLMODEL
from tests.e2e.conftest import Service, cli
from tests.small_exports import packed, registered_model, run, version

CLIENTS = [client for client in MLFLOW if client.name != "2.3.2"]
VERSIONS = {1: 41.5, 2: 42.25, 3: 43.125}
"""What each version answers."""


class Loaded(NamedTuple):
    answer: float
    files: dict[str, str]


Load = Callable[[str], dict[str, Loaded]]
"""The environment -> what each client loaded there."""


@pytest.fixture(scope="module")
def orders(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The model `orders`: Production is 3 (before: 2) in `eu`, and 1 (before: 2) in `us`."""
    assert service.put("/v1/workspaces/training", {"kind": "mlflow"}).status_code == 201
    archive = tmp_path_factory.mktemp("export") / "orders.tar.gz"
    archive.write_bytes(packed(_export()))
    sent = service.send("training", archive, model_name="orders")
    assert sent.status_code == 201, sent.text
    for environment, held in {"eu": (2, 3), "us": (2, 1)}.items():
        assert service.put(f"/v1/environments/{environment}", {}).status_code == 201
        for number in held:
            place = f"/v1/environments/{environment}/models/orders/stages/Production"
            assert service.put(place, {"version": number}).status_code == 200
    return service


def _export() -> dict[str, bytes | dict[str, object]]:
    ids = {number: f"{number}" * 32 for number in VERSIONS}
    files: dict[str, bytes | dict[str, object]] = {
        "model.json": registered_model(*(version(str(number), ids[number]) for number in VERSIONS))
    }
    for number, run_id in ids.items():
        files[f"{run_id}/run.json"] = run(run_id)
        for path, text in _files(number).items():
            files[f"{run_id}/artifacts/model/{path}"] = text.encode()
    return files


def _files(number: int) -> dict[str, str]:
    return {
        "MLmodel": MLMODEL,
        "code/loading_an_answer.py": LOADER,
        "data/answer.txt": str(VERSIONS[number]),
    }


@pytest.fixture(scope="module")
def load(orders: Service, tmp_path_factory: pytest.TempPathFactory) -> Load:
    """With a token that reads that environment, and an address that names it."""
    tokens = {
        name: cli(orders.environ, "token", "create", "--name", name, "--scope", f"read:{name}", "--plain")
        for name in ("eu", "us")
    }

    def one(client: Client, environment: str) -> Loaded:
        uri = f"{orders.url}/environments/{environment}"
        outcome = run_scenario(client, "loading", uri, tokens[environment], tmp_path_factory.mktemp("loading"))
        assert outcome.returned == 0, outcome.log[-3000:]
        return Loaded(**json.loads(outcome.said.splitlines()[-1]))

    def all_of(environment: str) -> dict[str, Loaded]:
        clients = [client for client in CLIENTS if not lacking(client)]
        with ThreadPoolExecutor(len(clients)) as pool:
            found = pool.map(lambda client: one(client, environment), clients)
            return {client.name: loaded for client, loaded in zip(clients, found, strict=True)}

    return all_of


def _holds(loaded: Loaded, number: int) -> bool:
    return loaded == Loaded(VERSIONS[number], _files(number))


def test_one_line_loads_what_each_environment_has(orders: Service, load: Load, need: Callable[[Client], None]) -> None:
    for environment, number in {"eu": 3, "us": 1}.items():
        for name, loaded in load(environment).items():
            assert _holds(loaded, number), (environment, name, loaded)
    rolled = requests.post(
        f"{orders.url}/v1/environments/eu/models/orders/stages/Production/rollback",
        json={"comment": "3 is slow"},
        headers=orders.headers,
        timeout=30,
    )
    assert rolled.status_code == 201, rolled.text
    for environment, number in {"eu": 2, "us": 1}.items():
        for name, loaded in load(environment).items():
            assert _holds(loaded, number), (environment, name, loaded)
    # Told last, so that a Python that is missing does not keep the others from being tested.
    for client in CLIENTS:
        need(client)


def test_the_line_is_the_same_for_all() -> None:
    code = (Path(__file__).parent / "scenarios" / "loading.py").read_text()
    assert 'mlflow.pyfunc.load_model("models:/orders/Production")' in code
