"""Which files are a version's."""

from __future__ import annotations

import pytest

from service.exports.survey import ArtifactFile, Survey, files_below
from service.exports.versions import VersionFiles, version_files
from tests.small_exports import LOGGED, RUN, Files, changed, logged_model, registered_model, run, version
from tests.unit.exports.surveying import OTHER, OTHER_RUN, digest, surveyed

# The run logged three folders, one of them named like the folder of all.
FOLDERS = ("model", "models/artifacts/clf", "artifacts/model", "model-old")
AT = f"7/{RUN}/artifacts"


def export_with(row: dict[str, object], *, run_uri: str = f"mlflow-artifacts:/{AT}") -> VersionFiles:
    document = changed(run(), "mlflow.info.artifact_uri", run_uri)
    files: Files = {
        f"{RUN}/run.json": document,
        **{f"{RUN}/artifacts/{folder}/MLmodel": folder.encode() for folder in FOLDERS},
        "model.json": registered_model(version(**row)),  # type: ignore[arg-type]  # any field of it
    }
    found = surveyed(files)
    return version_files(found, found.models["orders"].versions[0])


DBFS = f"dbfs:/databricks/mlflow-tracking/{AT}"
SOURCES = {
    # what it is about: the version's source, the version's own root, the run's root, the path that is found
    "proxied": (f"mlflow-artifacts:/{AT}/model", f"mlflow-artifacts:/{AT}", None, "model"),
    "a slash at the end": (f"mlflow-artifacts:/{AT}/model/", f"mlflow-artifacts:/{AT}/", None, "model"),
    "with a host": (f"mlflow-artifacts://tracking.example:5000/{AT}/model", None, None, "model"),
    "local path": (f"/home/jane/mlruns/{AT}/model", f"/home/jane/mlruns/{AT}", None, "model"),
    "file URI": (f"file:///home/jane/mlruns/{AT}/model", f"file:///home/jane/mlruns/{AT}", None, "model"),
    "dbfs": (f"{DBFS}/model", DBFS, DBFS, "model"),
    "dbfs, of the run's id alone": (f"{DBFS}/model", None, f"wasbs://elsewhere/{AT}", "model"),
    "S3": (f"s3://bucket/{AT}/model", None, f"s3://bucket/{AT}", "model"),
    "runs URI": (f"runs:/{RUN}/model", None, None, "model"),
    "root contains the word artifacts": (f"/srv/artifacts/{AT}/model", f"/srv/artifacts/{AT}", None, "model"),
    "so does the path": (f"/srv/artifacts/{AT}/artifacts/model", f"/srv/artifacts/{AT}", None, "artifacts/model"),
    "path contains the word artifacts": (f"{DBFS}/models/artifacts/clf", DBFS, DBFS, "models/artifacts/clf"),
    "and only the run's id is known": (f"{DBFS}/models/artifacts/clf", None, None, "models/artifacts/clf"),
    "a root of its own": ("s3://b/own/model", "s3://b/own", None, "model"),
    "the run's own root": ("s3://b/own/model", None, "s3://b/own", "model"),
    "not the folder beside it": (f"{DBFS}/model-old", DBFS, DBFS, "model-old"),
}


@pytest.mark.parametrize("about", SOURCES)
def test_a_version_is_a_folder_of_its_run(about: str) -> None:
    source, own, run_uri, path = SOURCES[about]
    row: dict[str, object] = {"source": source, "_run_artifact_uri": own}
    found = export_with(row, run_uri=run_uri or f"mlflow-artifacts:/{AT}")
    assert found.artifact_path == path
    assert [(file.path, file.sha256) for file in found.files] == [("MLmodel", digest(path.encode()))]
    assert found.model_id == ""


def test_a_model_at_the_root_of_the_artifacts() -> None:
    found = export_with({"source": f"{DBFS}/", "_run_artifact_uri": DBFS})
    assert found.artifact_path == ""
    assert {file.path for file in found.files} == {f"{folder}/MLmodel" for folder in FOLDERS}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/",
        "models:/orders/1",
        "models:/m-" + "0" * 32,
        f"runs:/{OTHER_RUN}/model",
        f"{DBFS}-old/model",
        f"{DBFS}/absent",
        f"{DBFS}/mod",
        "/etc/passwd",
        f"{DBFS}/../../model",
    ],
)
def test_a_source_that_leads_nowhere_has_no_files(source: str) -> None:
    assert export_with({"source": source, "_run_artifact_uri": ""}).files == []


@pytest.mark.parametrize("root", ["", "/", "//"])
def test_an_empty_root_holds_nothing(root: str) -> None:
    assert export_with({"source": "/model", "_run_artifact_uri": root}, run_uri=root).files == []


def test_a_version_whose_run_is_not_there_has_no_files() -> None:
    assert export_with({"run_id": OTHER_RUN}).files == []


def logged_models_export(**row: object) -> tuple[Survey, VersionFiles]:
    """A run that logged three models, two of them under one name."""
    names = {LOGGED: "ckpt-0", OTHER: "ckpt-20", "m-second": "ckpt-20", "m-only": "other"}
    outputs = {"model_outputs": [{"model_id": model_id, "step": 0} for model_id in names]}
    files: dict[str, object] = {f"{RUN}/run.json": run(outputs=outputs)}
    for model_id, name in names.items():
        files[f"{RUN}/{model_id}/logged_model.json"] = logged_model(model_id, name=name)
        files[f"{RUN}/{model_id}/artifacts/MLmodel"] = model_id.encode()
    files["model.json"] = registered_model(version(**row))  # type: ignore[arg-type]
    found = surveyed(files)  # type: ignore[arg-type]
    return found, version_files(found, found.models["orders"].versions[0])


@pytest.mark.parametrize("model_id", [LOGGED, OTHER, "m-second"])
@pytest.mark.parametrize("named", ["source", "model_id"])
def test_each_of_several_logged_models_is_found(model_id: str, named: str) -> None:
    row = {"source": f"models:/{model_id}"} if named == "source" else {"model_id": model_id}
    _, found = logged_models_export(**row)
    assert found.model_id == model_id
    assert found.artifact_path == ""
    assert [(file.path, file.sha256) for file in found.files] == [("MLmodel", digest(model_id.encode()))]


def test_a_logged_model_by_the_name_its_run_gave_it() -> None:
    """The source names a folder of the run, and the files are the logged model's: only if the name is one model's."""
    at = f"mlflow-artifacts:/{AT}"
    assert logged_models_export(source=f"{at}/other")[1].model_id == "m-only"
    assert logged_models_export(source=f"{at}/ckpt-20")[1].files == []
    assert logged_models_export(source=f"{at}/ckpt-99")[1].files == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ["a", "a/b", "a/b/c", "ab"]),
        ("/", ["a", "a/b", "a/b/c", "ab"]),
        ("a", ["b", "b/c"]),
        ("/a/", ["b", "b/c"]),
        ("a/b", ["c"]),
        ("c", []),
    ],
)
def test_files_below_a_path(path: str, expected: list[str]) -> None:
    files = [ArtifactFile(name, f"x/{name}", 0, "") for name in ("a", "a/b", "a/b/c", "ab")]
    assert [file.path for file in files_below(files, path)] == expected
