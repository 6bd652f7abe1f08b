"""The serving side of the demo: load the model that was handed out, and ask it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow


def check(folder: Path, listing: Path, digest: str) -> None:
    """Compare every file with the list of sizes and SHA-256, and the list with the version's digest."""
    files = json.loads(listing.read_text())["files"]
    for file in files:
        data = (folder / file["path"]).read_bytes()
        found = (len(data), hashlib.sha256(data).hexdigest())
        if found != (file["size"], file["sha256"]):
            sys.exit(f"{file['path']} is not what was registered")
    rows = [{key: file[key] for key in ("path", "sha256", "size")} for file in files]
    manifest = json.dumps({"files": rows}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if "sha256:" + hashlib.sha256(manifest.encode()).hexdigest() != digest:
        sys.exit("the list of files is not the version's")
    print(f"{len(files)} files, every digest as registered: {digest}")


match sys.argv[1:]:
    case ["pulled", folder, listing, digest]:
        check(Path(folder), Path(listing), digest)
        uri = folder
    case ["mlflow", name]:
        uri = f"models:/{name}/Production"
    case _:
        sys.exit("usage: demo_serve.py pulled FOLDER LISTING DIGEST | mlflow NAME")
answers = mlflow.pyfunc.load_model(uri).predict([[1.0]])
print(f"predict: {answers[0]}")
if answers[0] != 42:
    sys.exit("that is not 42")
