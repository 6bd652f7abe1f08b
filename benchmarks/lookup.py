"""Look-ups of MLflow's clients a second: the hosted registry against `mlflow server`, each with two workers.

Both use the same Postgres and S3 server, and hold the same versions, made by the same calls. Needs `wrk`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import requests

from benchmarks.load import load
from benchmarks.real_tool import URL, real_tool
from benchmarks.running import Registry, running_registry

PORT = 5396
MODELS = 20
VERSIONS = 5
SECONDS = 6
CONNECTIONS = 8
API = "/api/2.0/mlflow"
LOOKUPS = {
    "get-latest-versions": "registered-models/get-latest-versions?name={}&stages=Production",
    "alias": "registered-models/alias?name={}&alias=champion",
    "model-versions/get": "model-versions/get?name={}&version=3",
    "get-download-uri": "model-versions/get-download-uri?name={}&version=3",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with running_registry(Path(folder) / "data", PORT) as registry, real_tool(registry):
            ours = f"{registry.url}/environments/prod"
            _prepare_environment(registry)
            _fill(ours, registry.headers)
            _fill(URL, {})
            print(f"{'look-up':<22}{'hosted /s':>10}{'p99 ms':>8}{'mlflow /s':>11}{'p99 ms':>8}{'ratio':>7}")
            slowest = min(_measure(name, ours, registry.headers) for name in LOOKUPS)
    print(f"slowest ratio {slowest:.1f}, wanted at least 5")
    sys.exit(slowest < 5)


def _prepare_environment(registry: Registry) -> None:
    made = requests.put(f"{registry.url}/v1/environments/prod", json={}, headers=registry.headers, timeout=30)
    made.raise_for_status()


def _fill(url: str, headers: dict[str, str]) -> None:
    """Models whose third version is in Production and has an alias."""
    experiment = _call(url, headers, "experiments/create", name="lookup")["experiment_id"]
    run = _call(url, headers, "runs/create", experiment_id=experiment)["run"]["info"]
    place = f"{url}/api/2.0/mlflow-artifacts/artifacts/{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}"
    stored = requests.put(f"{place}/model/MLmodel", data=b"flavors: {}\n", headers=headers, timeout=30)
    stored.raise_for_status()
    for model in _models():
        _call(url, headers, "registered-models/create", name=model)
        for _ in range(VERSIONS):
            source = f"{run['artifact_uri']}/model"
            _call(url, headers, "model-versions/create", name=model, source=source, run_id=run["run_id"])
        _call(url, headers, "model-versions/transition-stage", name=model, version="3", stage="Production")
        _call(url, headers, "registered-models/alias", name=model, version="3", alias="champion")


def _call(url: str, headers: dict[str, str], path: str, **body: str) -> dict[str, dict[str, str]]:
    answer = requests.post(f"{url}{API}/{path}", json=body, headers=headers, timeout=60)
    answer.raise_for_status()
    return dict(answer.json())


def _measure(name: str, ours: str, headers: dict[str, str]) -> float:
    paths = [f"{API}/{LOOKUPS[name].format(model)}" for model in _models()]
    prefix = ours[ours.index("/", len("http://")) :]
    got = load(ours, headers, CONNECTIONS, SECONDS, [prefix + path for path in paths])
    peer = load(URL, {}, CONNECTIONS, SECONDS, paths)
    ratio = got.rate / peer.rate
    print(f"{name:<22}{got.rate:>10.0f}{got.p99:>8.1f}{peer.rate:>11.0f}{peer.p99:>8.1f}{ratio:>7.1f}")
    return ratio


def _models() -> list[str]:
    return [f"model-{number}" for number in range(MODELS)]


if __name__ == "__main__":
    main()
