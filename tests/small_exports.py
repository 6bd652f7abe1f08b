"""Hand-written exports, as small as they can be, for tests that change one thing in them."""

from __future__ import annotations

import copy
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from service.exports.archive import Member

Document = dict[str, Any]
Files = Mapping[str, bytes | Document]

RUN = "0123456789abcdef0123456789abcdef"
LOGGED = "m-0123456789abcdef0123456789abcdef"
SYSTEM = {
    "package_version": "1.2.0",
    "mlflow_version": "2.22.5",
    "mlflow_tracking_uri": "http://tracking.example",
    "user": "jane",
    "export_time": 1700000000,
}
MLMODEL = b"""\
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
signature:
  inputs: '[{"name": "x", "type": "double"}]'
"""


def experiment(**fields: Any) -> Document:
    own = {"experiment_id": "7", "name": "/Shared/orders", "lifecycle_stage": "active", "creation_time": 1, "tags": {}}
    return {"system": SYSTEM, "info": {"failed_runs": []}, "mlflow": {"experiment": own | fields, "runs": [RUN]}}


def run(run_id: str = RUN, **parts: Any) -> Document:
    info = {
        "run_id": run_id,
        "experiment_id": "7",
        "user_id": "jane",
        "status": "FINISHED",
        "start_time": 1700000000000,
        "end_time": 1700000001000,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/7/{run_id}/artifacts",
        "run_name": "first",
    }
    own = {
        "info": info,
        "params": {"depth": "3"},
        "metrics": {"loss": [{"value": 0.5, "timestamp": 1700000000500, "step": 1}]},
        "tags": {"mlflow.runName": "first"},
    }
    return {"system": SYSTEM, "mlflow": own | parts}


def registered_model(*versions: Document, **fields: Any) -> Document:
    own = {
        "name": "orders",
        "creation_timestamp": 1,
        "last_updated_timestamp": 2,
        "description": "",
        "tags": [],
        "aliases": [],
        "versions": list(versions or (version(),)),
    }
    return {"system": SYSTEM, "info": {"failed_versions": []}, "mlflow": {"registered_model": own | fields}}


def version(number: str = "1", run_id: str = RUN, **fields: Any) -> Document:
    root = f"mlflow-artifacts:/7/{run_id}/artifacts"
    own = {
        "version": number,
        "run_id": run_id,
        "current_stage": "None",
        "source": f"{root}/model",
        "_run_artifact_uri": root,
        "status": "READY",
        "description": "",
        "tags": {},
    }
    return own | fields


def logged_model(model_id: str = LOGGED, **fields: Any) -> Document:
    own = {
        "model_id": model_id,
        "experiment_id": "7",
        "name": "model",
        "source_run_id": RUN,
        "status": "READY",
        "creation_timestamp": 1,
        "last_updated_timestamp": 2,
        "tags": {},
        "params": {},
        "metrics": [],
    }
    return {"system": SYSTEM, "mlflow": own | fields}


def model_export() -> dict[str, bytes | Document]:
    """An export-model folder: one version, one run, two files."""
    return {
        "model.json": registered_model(),
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/MLmodel": MLMODEL,
        f"{RUN}/artifacts/model/model.pkl": b"42",
    }


def changed(document: Document, field: str, value: object) -> Document:
    """A copy of `document` with the field at `field` (`mlflow.tags`, `versions[0].name`) set to `value`."""
    document = copy.deepcopy(document)
    place: Any = document
    *path, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", field)]
    for part in path:
        place = place[part] if isinstance(part, int) else place.setdefault(part, {})
    place[last] = value
    return document


def members(files: Files) -> Iterator[tuple[Member, BinaryIO]]:
    """What the archive reader makes of `files`."""
    for path, content in files.items():
        data = encoded(content)
        yield Member(path, len(data)), io.BytesIO(data)


def encoded(content: bytes | Document) -> bytes:
    # Not strict JSON: like the export tool, this writes bare NaN and Infinity.
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def packed(files: Files, mode: str = "w:gz") -> bytes:
    """`files` as a tar, packed as tarfile's `mode` says."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as tar:  # type: ignore[call-overload]  # mode is no literal here
        for path, content in files.items():
            data = encoded(content)
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


TRACE = "tr-0123456789abcdef0123456789abcdef"
DATASET = "d-0123456789abcdef0123456789abcdef"


def trace(trace_id: str = TRACE, **fields: Any) -> Document:
    own = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "7"}},
        "request_time": 1700000000000,
        "state": "OK",
        "request_preview": "ask",
        "response_preview": "answer",
        "client_request_id": None,
        "execution_duration": 5,
        "trace_metadata": {
            "mlflow.sourceRun": RUN,
            "mlflow.trace.session": "s",
            "mlflow.trace.cost": '{"total_cost": 1.0}',
        },
        "tags": {
            "mlflow.trace.spansLocation": "TRACKING_STORE",
            "mlflow.traceName": "outer",
            "mlflow.artifactLocation": f"mlflow-artifacts:/7/traces/{trace_id}/artifacts",
        },
        "assessments": [assessment()],
    }
    data = [{"name": "outer", "trace_id": trace_id, "span_id": "2a97266d2f789124", "parent_id": None}]
    return {"system": SYSTEM, "mlflow": {"info": own | fields, "data": data}}


def assessment(**fields: Any) -> Document:
    own = {
        "assessment_type": "feedback",
        "assessment_id": "a-1",
        "name": "correct",
        "source": {"source_type": "HUMAN", "source_id": "jane"},
        "run_id": RUN,
        "rationale": "because",
        "metadata": {"k": "v"},
        "span_id": None,
        "create_time_ms": 1,
        "last_update_time_ms": 2,
        "feedback": {"value": True, "error": None},
        "expectation": None,
        "issue": None,
        "error": None,
        "overrides": None,
        "valid": True,
    }
    return own | fields


def span(**fields: Any) -> Document:
    own = {
        "trace_id": "ASNFZ4mrze8BI0VniavN7w==",
        "span_id": "KpcmbS94kSQ=",
        "parent_span_id": None,
        "name": "outer",
        "start_time_unix_nano": 1700000000000000000,
        "end_time_unix_nano": 1700000000005000000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {"mlflow.traceRequestId": f'"{TRACE}"', "mlflow.spanType": '"CHAIN"', "note": '"ü\\t\\\\"'},
        "links": [],
    }
    return own | fields


def prompt(version: int = 1, **fields: Any) -> Document:
    own = {
        "name": "greeting",
        "version": version,
        "template": "Hi {{name}}!",
        "tags": {"lang": "en"},
        "creation_timestamp": 10,
        "last_updated_timestamp": 11,
        "user_id": "jane",
        "commit_message": "first",
        "variables": ["name"],
        "uri": f"prompts:/greeting/{version}",
    }
    return {"system": SYSTEM, "mlflow": {"prompt": own | fields}}


def evaluation_dataset(dataset_id: str = DATASET, **fields: Any) -> Document:
    row = {
        "dataset_record_id": "dr-1",
        "dataset_id": dataset_id,
        "inputs": {"q": "ü?"},
        "outputs": {},
        "expectations": {"a": 1},
        "tags": {"t": "1"},
        "source": {"source_type": "HUMAN", "source_data": {}},
        "source_type": "HUMAN",
        "created_time": 1,
        "last_update_time": 2,
        "created_by": "jane",
        "last_updated_by": "jane",
    }
    own = {
        "dataset_id": dataset_id,
        "name": "qa",
        "digest": "abc",
        "tags": {"stage": "test"},
        "schema": "{}",
        "profile": "{}",
        "created_time": 1,
        "last_update_time": 2,
        "created_by": "jane",
        "last_updated_by": "jane",
        "experiment_ids": ["7"],
        "records": [row],
    }
    return {"system": SYSTEM, "mlflow": {"evaluation_dataset": own | fields}}


def extras_export() -> dict[str, bytes | Document]:
    """An experiment with one traced run, a prompt of two versions, and an evaluation dataset of one record."""
    return {
        "experiment.json": experiment(),
        f"runs/{RUN}/run.json": run(),
        f"traces/{TRACE}/trace.json": trace(),
        f"traces/{TRACE}/artifacts/traces.json": {"spans": [span()]},
        "prompts/greeting_v1/prompt.json": prompt(),
        "prompts/greeting_v2/prompt.json": prompt(2, template=[{"role": "user", "content": "Hi {{name}}"}]),
        f"evaluation_datasets/qa_{DATASET}/evaluation_dataset.json": evaluation_dataset(),
    }
