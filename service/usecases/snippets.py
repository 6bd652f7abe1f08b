"""Code that uses a stage, ready to run: every name and column is quoted for the language it stands in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from service.domain.environment import Place
from service.domain.example_inputs import DTYPES, Inputs


@dataclass(frozen=True)
class Use:
    """`url` is where clients reach the service; `inputs` are those of the version that the stage holds."""

    url: str
    place: Place
    inputs: Inputs

    @property
    def environment(self) -> str:
        """The environment as an MLflow registry."""
        return f"{self.url}/environments/{quote(self.place.environment, safe='')}"

    @property
    def stage(self) -> str:
        environment, model, stage = (quote(part, safe="") for part in self.place)
        return f"{self.url}/v1/environments/{environment}/models/{model}/stages/{stage}"

    @property
    def uri(self) -> str:
        return f"models:/{self.place.model}/{self.place.stage}"

    @property
    def slug(self) -> str:
        """The model's name as far as Kubernetes and file names take it."""
        return re.sub(r"[^a-z0-9]+", "-", self.place.model.lower())[:40].strip("-") or "model"

    def request(self) -> dict[str, Any]:
        """What MLflow's model server takes at /invocations."""
        if self.inputs.tensors:
            first = self.inputs.tensors[0]
            if first.name is None:
                return {"inputs": _zeros(first.shape)}
            return {"inputs": {str(tensor.name): _zeros(tensor.shape) for tensor in self.inputs.tensors}}
        if self.inputs.named:
            return {"dataframe_records": [{column.name: column.value for column in self.inputs.columns}]}
        return {"dataframe_split": {"data": [[column.value for column in self.inputs.columns]]}}


def snippet(kind: str, use: Use) -> str:
    """`kind` is one of KINDS."""
    return KINDS[kind](use)


def _zeros(shape: tuple[int, ...]) -> Any:
    made: Any = 0
    for size in reversed(shape):
        made = [made] * size
    return made


def _data(use: Use) -> str:
    """Python that makes `data`, with pandas as pd and numpy as np."""
    columns, tensors = use.inputs.columns, use.inputs.tensors
    if tensors:
        made = {tensor.name: f"np.zeros({tensor.shape!r}, dtype={tensor.dtype!r})" for tensor in tensors}
        if len(tensors) == 1 and tensors[0].name is None:
            return f"data = {made[None]}"
        return "data = {" + ", ".join(f"{name!r}: {zeros}" for name, zeros in made.items()) + "}"
    if not columns:
        return "data = pd.DataFrame([{}])  # the model has no signature: put here what it takes"
    row = [column.value for column in columns]
    if not use.inputs.named:
        return f"data = pd.DataFrame([{row!r}])"
    types = {column.name: DTYPES[column.type] for column in columns if column.type in DTYPES}
    return f"data = pd.DataFrame([{row!r}], columns={[column.name for column in columns]!r}).astype({types!r})"


def _python(use: Use) -> str:
    return f"""\
# pip install mlflow pandas; MODEL_REGISTRY_TOKEN holds a token that may read the environment.
import os

import mlflow
import numpy as np
import pandas as pd

os.environ["MLFLOW_TRACKING_TOKEN"] = os.environ["MODEL_REGISTRY_TOKEN"]
mlflow.set_tracking_uri({use.environment!r})
model = mlflow.pyfunc.load_model({use.uri!r})
{_data(use)}
print(model.predict(data))
"""


def _curl(use: Use) -> str:
    return f"""\
#!/usr/bin/env bash
# Brings the stage's version into ./{use.slug}. MODEL_REGISTRY_TOKEN holds a token that may read the environment.
set -euo pipefail
stage={shlex.quote(use.stage)}
inputs={shlex.quote(json.dumps(use.request()))}
curl -fsS -H "Authorization: Bearer $MODEL_REGISTRY_TOKEN" -o {use.slug}.tar "$stage/archive"
mkdir -p {use.slug}
tar -xf {use.slug}.tar -C {use.slug}
# Serve it, for example with `mlflow models serve --model-uri {use.slug}`, and ask that server:
if [ -n "${{MODEL_SERVER:-}}" ]; then
  curl -fsS -H 'Content-Type: application/json' -d "$inputs" "$MODEL_SERVER/invocations"
fi
"""


def _pull(use: Use) -> str:
    """The target that `model-registry pull` takes."""
    return "/".join(use.place)


def _kserve(use: Use) -> str:
    fetch = 'wget -q -O /mnt/models/pull.pyz "$MODEL_REGISTRY_URL/pull.pyz" && '
    pull = f"exec python /mnt/models/pull.pyz {shlex.quote(_pull(use))} --to /mnt/models/model"
    mount = {"name": "model", "mountPath": "/mnt/models"}
    token = {"secretKeyRef": {"name": "model-registry", "key": "token"}}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": use.slug if use.slug[0].isalpha() else f"m-{use.slug}"},
        "spec": {
            "predictor": {
                "initContainers": [
                    {
                        "name": "pull",
                        "image": "python:3.12-alpine",
                        "command": ["sh", "-ec"],
                        "args": [fetch + pull],
                        "env": [
                            {"name": "MODEL_REGISTRY_URL", "value": use.url},
                            {"name": "MODEL_REGISTRY_TOKEN", "valueFrom": token},
                        ],
                        "volumeMounts": [mount],
                    }
                ],
                "containers": [
                    {
                        "name": "kserve-container",
                        "image": "docker.io/seldonio/mlserver:1.7.1",
                        "env": [
                            {"name": "MLSERVER_MODEL_NAME", "value": use.slug},
                            {"name": "MLSERVER_MODEL_URI", "value": "/mnt/models/model"},
                            {"name": "MLSERVER_MODEL_IMPLEMENTATION", "value": "mlserver_mlflow.MLflowRuntime"},
                        ],
                        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                        "volumeMounts": [{**mount, "readOnly": True}],
                    }
                ],
                "volumes": [{"name": "model", "emptyDir": {}}],
            }
        },
    }
    head = "# YAML, written as JSON. The Secret model-registry holds a token that may read the environment.\n"
    return head + json.dumps(service, indent=2) + "\n"


def _mlserver(use: Use) -> str:
    settings = {
        "name": use.slug,
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": f"./{use.slug}"},
    }
    return f"""\
#!/usr/bin/env bash
# pip install mlserver mlserver-mlflow model-registry; MODEL_REGISTRY_TOKEN holds a token that may read the environment.
set -euo pipefail
export MODEL_REGISTRY_URL={shlex.quote(use.url)}
model-registry pull {shlex.quote(_pull(use))} --to {use.slug}
printf '%s\\n' {shlex.quote(json.dumps(settings))} > model-settings.json
# Ask it at http://127.0.0.1:8080/invocations with:
# {json.dumps(use.request())}
exec mlserver start .
"""


def _spark(use: Use) -> str:
    columns = [column.name for column in use.inputs.columns if column.name is not None]
    quoted = ["`" + name.replace("`", "``") + "`" for name in columns]
    given = f"struct(*map(col, {quoted!r}))" if quoted else 'struct("*")'
    return f"""\
# MODEL_REGISTRY_TOKEN holds a token that may read the environment; `spark` is the session, `data` a data frame.
import os

import mlflow
from pyspark.sql.functions import col, struct

os.environ["MLFLOW_TRACKING_TOKEN"] = os.environ["MODEL_REGISTRY_TOKEN"]
mlflow.set_tracking_uri({use.environment!r})
predict = mlflow.pyfunc.spark_udf(spark, {use.uri!r}, result_type="double")
data = data.withColumn("prediction", predict({given}))
"""


def _fabric(use: Use) -> str:
    columns = [column.name for column in use.inputs.columns if column.name is not None]
    return f"""\
# In a notebook of Fabric: registers the stage's version there, and predicts with it; `data` is a Spark data frame.
import io
import tarfile
import urllib.request

import mlflow
from synapse.ml.predict import MLFlowTransformer

token = notebookutils.credentials.getSecret("https://<vault>.vault.azure.net/", "model-registry-token")
request = urllib.request.Request({use.stage + "/archive"!r}, headers={{"Authorization": f"Bearer {{token}}"}})
with urllib.request.urlopen(request) as answer, tarfile.open(fileobj=io.BytesIO(answer.read())) as archive:
    archive.extractall("/tmp/model", filter="data")
with mlflow.start_run() as run:
    mlflow.log_artifacts("/tmp/model", "model")
version = mlflow.register_model(f"runs:/{{run.info.run_id}}/model", {use.slug!r})
model = MLFlowTransformer(
    inputCols={columns!r},
    outputCol="prediction",
    modelName=version.name,
    modelVersion=int(version.version),
)
data = model.transform(data)
"""


KINDS: Mapping[str, Callable[[Use], str]] = {
    "python": _python,
    "curl": _curl,
    "kserve": _kserve,
    "mlserver": _mlserver,
    "spark": _spark,
    "fabric": _fabric,
}
