"""A client of the hosted registry by hand: runs with files, and versions of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from werkzeug.test import Client, TestResponse

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
MLMODEL = b"flavors:\n  python_function:\n    loader_module: none\n"


@dataclass(frozen=True)
class Hosted:
    client: Client
    place: str = ""

    def post(self, path: str, **body: Any) -> TestResponse:
        return self.client.post(f"{self.place}{API}/{path}", json=body)

    def delete(self, path: str, **body: Any) -> TestResponse:
        return self.client.delete(f"{self.place}{API}/{path}", json=body)

    def get(self, path: str, **query: str) -> TestResponse:
        return self.client.get(f"{self.place}{API}/{path}", query_string=query)

    def run(self, experiment: str, **files: bytes) -> str:
        """A run of a new experiment with the files in its folder `model`."""
        made = self.post("experiments/create", name=experiment)
        assert made.status_code == 200, made.text
        run = self.post("runs/create", experiment_id=made.json["experiment_id"], start_time=1).json["run"]["info"]
        for name, data in files.items():
            self.put(f"{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model/{name}", data)
        return str(run["run_id"])

    def put(self, path: str, data: bytes) -> TestResponse:
        return self.client.put(f"{self.place}{FILES}/{path}", data=data)

    def read(self, path: str) -> TestResponse:
        return self.client.get(f"{self.place}{FILES}/{path}")

    def root(self, run: str) -> str:
        """The path of the run's artifacts."""
        info = self.get("runs/get", run_id=run).json["run"]["info"]
        return str(info["artifact_uri"].removeprefix("mlflow-artifacts:/"))

    def register(self, model: str, run: str, source: str = "", **more: Any) -> dict[str, Any]:
        """The new version; the model is made when there is none."""
        self.post("registered-models/create", name=model)
        made = self.post("model-versions/create", name=model, source=source or f"runs:/{run}/model", run_id=run, **more)
        assert made.status_code == 200, made.text
        return dict(made.json["model_version"])


def digest_of(version: dict[str, Any]) -> str:
    """`sha256:…` of a version as MLflow tells it."""
    return {tag["key"]: tag["value"] for tag in version.get("tags", ())}["model_registry.digest"]
