"""What the MLflow client reads back equals the export: ids, times, every metric point, tags, bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.compare import compare
from tests.conftest import EXPORTS
from tests.e2e.conftest import Service

EXPORT_NAMES = sorted(path.name.removesuffix(".tar.gz") for path in EXPORTS.glob("*.tar.gz"))

# PyPI's 1.2.0 exports no model files from MLflow 3; the report names the versions that therefore are not here.
FILELESS = {"mlflow317-tool120-model-dummy": 4}


@pytest.fixture
def client_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", service.token)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_round_trip(service: Service, client_environment: None, name: str) -> None:
    workspace = name.partition("-")[0]  # one for each server that was exported from: exports overlap
    assert service.put(f"/v1/workspaces/{workspace}", {"kind": "mlflow"}).status_code in (200, 201)
    archive = EXPORTS / f"{name}.tar.gz"
    query = {"model_name": f"{workspace}-{name.rpartition('-')[2]}"} if "-model-" in name else {}
    sent = service.send(workspace, archive, **query)
    assert sent.status_code in (200, 201), sent.text
    report = sent.json()["report"]
    for kind, counts in report["counts"].items():
        found = counts["created"] + counts["updated"] + counts["skipped"] + counts["failed"]
        assert counts["found"] == found, kind
    assert len(report["failed"]) == FILELESS.get(name, 0)
    assert report["unread_files"] == []

    def run_id_of(original: str) -> str:
        run_id: str = service.get(f"/v1/workspaces/{workspace}/runs/{original}").json()["run_id"]
        return run_id

    assert compare(Path(archive), service.url, service.token, report, run_id_of) == []
    again = service.send(workspace, archive, **query)
    assert again.status_code == 200
    assert again.json() == sent.json()
