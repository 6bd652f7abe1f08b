"""A model of a few bytes that every client can load: it answers with the number that its one file holds."""

from __future__ import annotations

from pathlib import Path

MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    code: code
    data: data
    loader_module: loading_an_answer
"""
LOADER = """\
from pathlib import Path


class Answer:
    def __init__(self, number):
        self.number = number

    def predict(self, rows, params=None):
        return [self.number] * len(rows)


def _load_pyfunc(path):
    return Answer(float((Path(path) / "answer.txt").read_text()))
"""


def write(folder: Path, number: float) -> None:
    for path, text in {
        "MLmodel": MLMODEL,
        "code/loading_an_answer.py": LOADER,
        "data/answer.txt": str(number),
        # What `mlflow models serve` would build an environment from.
        "requirements.txt": "mlflow\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
