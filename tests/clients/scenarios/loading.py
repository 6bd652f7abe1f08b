"""The line of a serving cluster, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow

model = mlflow.pyfunc.load_model("models:/orders/Production")

folder = Path(mlflow.artifacts.download_artifacts("models:/orders/Production"))
files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
files.pop("registered_model_meta", None)  # written by clients of 2.x and 3.x into what they downloaded
print(json.dumps({"answer": model.predict([[1.0]])[0], "files": files}))
