"""Snippets of a stage are run as they come, for a model whose names try to get out of their quotes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import kubernetes_validate
import pytest
import requests
import yaml

from service.domain.environment import Place
from service.domain.example_inputs import Column, Inputs, Tensor, inputs_of
from service.usecases.snippets import Use, snippet
from tests.e2e.conftest import Service
from tests.small_exports import RUN, packed, registered_model, run, version

MODEL = "o'r\"d$(touch out)`touch out`ers; #"
COLUMNS = ["x", "it's", 'a"b', "$(touch out)", "`touch out`", "new\nline", "back\\slash", "ünïcode ☃", "'''", '"""']
CODE = """\
import mlflow


class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [float(row.sum()) + 41 for _, row in model_input[["x"]].iterrows()]


mlflow.models.set_model(Sum())
"""
SAVE = """\
import json, sys
import mlflow
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
columns = json.loads(sys.argv[2])
mlflow.pyfunc.save_model(
    sys.argv[1], python_model="code.py", pip_requirements=["mlflow"],
    signature=ModelSignature(Schema([ColSpec("double", name) for name in columns])),
)
"""
STAGE = f"/v1/environments/prod/models/{quote(MODEL, safe='')}/stages/Production"


@pytest.fixture(scope="module")
def staged(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A real model with such names in prod/Production."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "code.py").write_text(CODE)
    subprocess.run([sys.executable, "-c", SAVE, "model", json.dumps(COLUMNS)], cwd=folder, check=True)
    saved = {
        str(path.relative_to(folder)): path.read_bytes() for path in (folder / "model").rglob("*") if path.is_file()
    }
    files = {f"{RUN}/artifacts/{path}": data for path, data in saved.items()}
    archive = packed({"model.json": registered_model(version()), f"{RUN}/run.json": run(), **files})
    service.put("/v1/workspaces/dev", {"kind": "mlflow"})
    service.put("/v1/environments/prod", {})
    (tmp_path := folder / "export.tar").write_bytes(archive)
    sent = service.send("dev", tmp_path, model_name=MODEL)
    assert sent.json()["state"] == "done", sent.text
    assert service.put(STAGE, {"version": 1}).status_code == 200
    return service


def text(service: Service, kind: str) -> str:
    response = service.get(f"{STAGE}/snippet?for={kind}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/plain; charset=utf-8"), response.text
    return response.text


def environ(service: Service) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MODEL_REGISTRY_TOKEN": service.token}


def test_python(staged: Service, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text(staged, "python")],
        cwd=tmp_path,
        env=environ(staged),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[42.0]")
    assert list(tmp_path.iterdir()) == []


def test_curl(staged: Service, tmp_path: Path) -> None:
    subprocess.run(["bash", "-c", text(staged, "curl")], cwd=tmp_path, env=environ(staged), check=True)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    listed = staged.get(f"{STAGE}/files").json()["files"]
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == sorted(
        file["path"] for file in listed
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, f"{folder.name}.tar"]


def test_each_of_the_others_can_be_read(staged: Service, tmp_path: Path) -> None:
    for kind in ("spark", "fabric"):
        tree = ast.parse(text(staged, kind))
        literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        wanted = {"`" + name.replace("`", "``") + "`" for name in COLUMNS} if kind == "spark" else set(COLUMNS)
        assert wanted <= literals
    subprocess.run(["bash", "-n", "-c", text(staged, "mlserver")], check=True)
    service = yaml.safe_load(text(staged, "kserve"))
    assert (service["kind"], service["metadata"]["name"]) == ("InferenceService", "o-r-d-touch-out-touch-out-ers")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": service["spec"]["predictor"]}
    kubernetes_validate.validate(pod, "1.33", strict=True)
    (pull,) = pod["spec"]["initContainers"]
    assert pull["env"][0]["value"] == staged.url
    (tmp_path / "wget").write_text("#!/bin/sh\n:\n")
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > told\n')
    for name in ("wget", "python"):
        (tmp_path / name).chmod(0o755)
    command = [*pull["command"], *pull["args"]]
    subprocess.run(
        command, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin", "MODEL_REGISTRY_URL": "x"}, check=True
    )
    assert (tmp_path / "told").read_text().splitlines()[1] == f"prod/{MODEL}/Production"
    assert not (tmp_path / "out").exists()


def test_who_may_not(staged: Service) -> None:
    made = requests.post(
        f"{staged.url}/v1/tokens", json={"name": "qa", "scopes": ["read:qa"]}, headers=staged.headers, timeout=30
    ).json()["token"]
    url, headers = f"{staged.url}{STAGE}/snippet", {"Authorization": f"Bearer {made}"}
    assert requests.get(url, headers=headers, timeout=30).status_code == 403
    assert staged.get(f"{STAGE}/snippet?for=cobol").status_code == 422


def use(inputs: Inputs) -> Use:
    return Use("https://registry", Place("prod", "42", "Production"), inputs)


@pytest.mark.parametrize(
    ("signature", "inputs", "request_"),
    [
        (None, Inputs(), {"dataframe_split": {"data": [[]]}}),
        ({"inputs": None}, Inputs(), {"dataframe_split": {"data": [[]]}}),
        ({"inputs": "[" * 100_000}, Inputs(), {"dataframe_split": {"data": [[]]}}),
        ({"inputs": '{"a": 1}'}, Inputs(), {"dataframe_split": {"data": [[]]}}),
        (
            {"inputs": '[{"type": "long"}, {"type": {"array": 1}}]'},
            Inputs((Column(None, "long"), Column(None, ""))),
            {"dataframe_split": {"data": [[1, "text"]]}},
        ),
        (
            {"inputs": [{"name": "a", "type": "datetime"}]},
            Inputs((Column("a", "datetime"),)),
            {"dataframe_records": [{"a": "2026-01-01T00:00:00"}]},
        ),
        (
            {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'},
            Inputs(tensors=(Tensor(None, "float32", (1, 2)),)),
            {"inputs": [[0, 0]]},
        ),
        (
            {"inputs": '[{"name": "t", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [1]}}]'},
            Inputs(tensors=(Tensor("t", "int64", (1,)),)),
            {"inputs": {"t": [0]}},
        ),
        (
            {"inputs": '[{"type": "tensor", "tensor-spec": {"shape": "x"}}, 1]'},
            Inputs(),
            {"dataframe_split": {"data": [[]]}},
        ),
    ],
)
def test_signatures(signature: dict[str, object] | None, inputs: Inputs, request_: dict[str, object]) -> None:
    assert inputs_of(signature) == inputs
    assert use(inputs).request() == request_
    ast.parse(snippet("python", use(inputs)))
    assert yaml.safe_load(snippet("kserve", use(inputs)))["metadata"]["name"] == "m-42"
