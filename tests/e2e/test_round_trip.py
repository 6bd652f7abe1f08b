"""What the MLflow client reads back equals the export: ids, times, every metric point, tags, bytes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from service.compare import NotImportedError, compare_import
from tests.conftest import EXPORTS
from tests.e2e.conftest import Service, cli
from tests.small_exports import DATASET, RUN, TRACE, assessment, extras_export, packed, span, trace

NAMES = sorted(path.name.removesuffix(".tar.gz") for path in EXPORTS.glob("*.tar.gz"))
FILELESS = "the export does not hold the model's files"
RECORDED = "the export tool recorded it as failed"

# What an export says it lacks, or lacks: by kind and reason. All others are whole.
FAILED = {
    # PyPI's 1.2.0 exports no model files from MLflow 3.
    "mlflow317-tool120-model-dummy": {("version", FILELESS): 4},
    "mlflow222-git2407-models": {("run", RECORDED): 1, ("version", RECORDED): 1},
    # A version without a run fails its whole model in the tool.
    "mlflow222-tool120-models-traps": {("model", RECORDED): 1},
    "mlflow317-master-models-traps": {("model", RECORDED): 1},
    "mlflow317-master-all": {("version", RECORDED): 1},
    "mlflow317-master-models": {("run", RECORDED): 1, ("version", RECORDED): 1},
}
# What is taken in although the tool gave it up half-way.
INCOMPLETE = {"mlflow222-tool120-experiment-unicode-edge": ["06c17fe880df45299739358ea9f94ee0"]}


@pytest.fixture
def client_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "set by the comparison")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(service: Service, client_environment: None, name: str) -> None:
    """One workspace for each server that was exported from, so that overlapping exports must not double."""
    workspace = name.removeprefix("broken-").partition("-")[0]
    assert service.put(f"/v1/workspaces/{workspace}", {"kind": "mlflow"}).status_code in (200, 201)
    archive = EXPORTS / f"{name}.tar.gz"
    sent = service.send(workspace, archive, model_prefix=f"{workspace}-")
    assert sent.status_code == 201, sent.text
    report = sent.json()["report"]
    for kind, counts in report["counts"].items():
        assert counts["found"] == sum(counts[what] for what in ("created", "updated", "skipped", "failed")), kind
    failed: dict[tuple[str, str], int] = {}
    for row in report["failed"]:
        failed[row["kind"], row["reason"]] = failed.get((row["kind"], row["reason"]), 0) + 1
    assert failed == FAILED.get(name, {})
    assert [row["name"] for row in report["incomplete"]] == INCOMPLETE.get(name, [])
    assert report["unread_files"] == []
    assert compare_import(archive, workspace, service.url, service.token) == []
    again = service.send(workspace, archive, model_prefix=f"{workspace}-")
    assert again.status_code == 200
    assert again.json() == sent.json()


def test_what_no_real_export_holds(service: Service, client_environment: None, tmp_path: Path) -> None:
    """Assessments of every kind, prompts of messages, spans that are a file, outputs of a dataset's records."""
    in_file = "tr-" + "f" * 32
    told = [
        assessment(),
        assessment(
            assessment_id="a-2", assessment_type="expectation", feedback=None, expectation={"k": [1]}, rationale=None
        ),
        assessment(assessment_id="a-3", feedback={"value": None, "error": {"error_code": "E"}}, metadata=None),
        assessment(
            assessment_id="a-4", assessment_type=None, feedback=None, issue={"issue_name": "slow"}, overrides="a-1"
        ),
        assessment(assessment_id="a-5", feedback={"value": "no"}, run_id=None, span_id="2a97266d2f789124", valid=False),
    ]
    spans = {"spans": [span(trace_id=base64.b64encode(b"\xff" * 16).decode())]}
    spans["spans"][0]["attributes"]["mlflow.traceRequestId"] = f'"{in_file}"'
    archive = tmp_path / "extras.tar.gz"
    archive.write_bytes(
        packed(
            {
                **extras_export(),
                f"traces/{TRACE}/trace.json": trace(assessments=told),
                f"traces/{in_file}/trace.json": trace(in_file, tags={"mlflow.artifactLocation": "x"}, assessments=[]),
                f"traces/{in_file}/artifacts/traces.json": spans,
                f"traces/{in_file}/artifacts/attachments/a.bin": b"1",
            }
        )
    )
    assert service.put("/v1/workspaces/extras", {"kind": "mlflow"}).status_code == 201
    sent = service.send("extras", archive, model_prefix="extras-")
    assert sent.status_code == 201, sent.text
    assert (sent.json()["report"]["failed"], sent.json()["report"]["unread_files"]) == ([], [])
    assert compare_import(archive, "extras", service.url, service.token) == []
    # Another workspace gets other ids, and the same of everything else.
    assert service.put("/v1/workspaces/others", {"kind": "mlflow"}).status_code == 201
    assert service.send("others", archive, model_prefix="others-").status_code == 201
    differences = compare_import(archive, "others", service.url, service.token)
    assert {difference.where for difference in differences} == {
        f"run {RUN}: run_id",
        f"trace {TRACE}: trace_id",
        f"trace {in_file}: trace_id",
        f"evaluation dataset {DATASET}: dataset_id",
    }


def test_the_command_names_each_difference(service: Service, client_environment: None) -> None:
    """Of two workspaces with the same run ids, the second has others here."""
    archive = EXPORTS / "mlflow130-tool120-experiment-nested.tar.gz"
    for workspace in ("first", "compared"):
        assert service.put(f"/v1/workspaces/{workspace}", {"kind": "mlflow"}).status_code == 201
    assert service.send("first", archive).status_code == 201
    with pytest.raises(NotImportedError):
        compare_import(archive, "compared", service.url, service.token)
    assert service.send("compared", archive).status_code == 201
    differences = compare_import(archive, "compared", service.url, service.token)
    assert {difference.where.rpartition(": ")[2] for difference in differences} == {"run_id"}
    assert "Options:" in cli(service.environ, "compare", "--help")
