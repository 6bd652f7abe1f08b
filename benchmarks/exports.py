"""Exports of any size as the tool's version 1.2.0 writes them, which both the tool and the registry read."""

from __future__ import annotations

import json
import os
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START = 1_690_000_000_000
BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Shape:
    """`files` are the sizes of the first run's artifacts, in bytes."""

    runs: int
    params: int
    metrics: int
    steps: int
    files: tuple[int, ...] = ()

    @property
    def points(self) -> int:
        return self.runs * self.metrics * self.steps


@dataclass(frozen=True)
class Export:
    """The same export as the tool's folder and as the archive that the registry takes."""

    folder: Path
    archive: Path
    shape: Shape

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*/artifacts/**/*") if path.is_file())


def write_export(place: Path, name: str, shape: Shape, seed: int, *, compressed: bool = True) -> Export:
    """Deterministic for a seed; run ids differ between seeds. Artifacts are random bytes, which do not compress."""
    rng = random.Random(seed)
    folder = place / name
    ids = [f"{rng.getrandbits(128):032x}" for _ in range(shape.runs)]
    for number, run_id in enumerate(ids):
        _write(folder / run_id / "run.json", _run(rng, shape, number, run_id))
    for number, size in enumerate(shape.files):
        _blob(rng, folder / ids[0] / "artifacts" / f"dir_{number % 10}" / f"{number:05d}.bin", size)
    own = {"experiment_id": "1", "name": name, "lifecycle_stage": "active", "tags": {}, "creation_time": START}
    info = {"num_total_runs": len(ids), "num_ok_runs": len(ids), "num_failed_runs": 0, "failed_runs": []}
    _write(folder / "experiment.json", {"experiment": own, "runs": ids[::-1]}, info)
    archive = place / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=6) if compressed else tarfile.open(archive, "w") as tar:
        tar.add(folder, name)
    os.sync()  # what is measured next is not to wait for these bytes
    return Export(folder, archive, shape)


def _run(rng: random.Random, shape: Shape, number: int, run_id: str) -> dict[str, Any]:
    start = START + number * 60_000
    info = {
        "run_uuid": run_id,
        "run_id": run_id,
        "experiment_id": "1",
        "run_name": f"run-{number:05d}",
        "user_id": "bench",
        "status": "FINISHED",
        "start_time": start,
        "end_time": start + 30_000,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts",
    }
    metrics = {
        f"metric_{key:03d}": [
            {"value": round(rng.random(), 12), "timestamp": start + step * 10, "step": step}
            for step in range(shape.steps)
        ]
        for key in range(shape.metrics)
    }
    params = {f"param_{key:03d}": repr(rng.random()) for key in range(shape.params)}
    tags = {"mlflow.runName": info["run_name"], "mlflow.user": "bench", "mlflow.source.type": "LOCAL"}
    return {"info": info, "params": params, "metrics": metrics, "tags": tags}


def _write(path: Path, mlflow: dict[str, Any], info: dict[str, Any] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    system = {"package_version": "1.2.0", "mlflow_version": "1.30.1", "export_time": START // 1000, "user": "bench"}
    whole = {"system": system, **({"info": info} if info else {}), "mlflow": mlflow}
    path.write_text(json.dumps(whole, indent=2) + "\n")


def _blob(rng: random.Random, path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(rng.randbytes(min(BLOCK, size - start)))
