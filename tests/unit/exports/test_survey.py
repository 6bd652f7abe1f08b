"""One pass over an export: what it finds, which files are a version's, and what an MLmodel file may say."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter

import pytest

from service.domain.errors import ArchiveRefused, ExportRefused
from service.exports.archive import read_members
from service.exports.mlmodel import MAX_SIZE, MLmodel, read_mlmodel
from service.exports.plain import MAX_DEPTH
from service.exports.records import RunRecord
from service.exports.survey import ArtifactFile, Survey, files_below, survey
from service.exports.versions import VersionFiles, version_files
from tests.conftest import EXPORTS
from tests.small_exports import (
    LOGGED,
    MLMODEL,
    RUN,
    Files,
    changed,
    experiment,
    logged_model,
    members,
    model_export,
    registered_model,
    run,
    version,
)

OTHER_RUN = "f" * 32
OTHER = "m-" + "f" * 32


def surveyed(files: Files) -> Survey:
    return survey(members(files), lambda _: None)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_everything_of_an_export_is_found() -> None:
    runs: list[RunRecord] = []
    bytes_read: list[int] = []
    files: Files = {
        **model_export(),
        "experiment.json": experiment(),
        f"{LOGGED}/logged_model.json": logged_model(),
        f"{LOGGED}/artifacts/MLmodel": MLMODEL,
        "models.json": {},
        "notes.txt": b"?",
    }
    found = survey(members(files), runs.append, lambda so_far: bytes_read.append(so_far.bytes))
    assert list(found.experiments) == ["7"]
    assert list(found.models) == ["orders"]
    assert list(found.logged_models) == [LOGGED]
    assert [item.run_id for item in runs] == list(found.runs) == [RUN]
    assert runs[0].params == {"depth": "3"}
    assert (found.runs[RUN].params, found.runs[RUN].metrics) == ({}, ()), "runs are kept without their bulk"
    root = f"{RUN}/artifacts/model"
    assert found.artifacts == {
        RUN: [
            ArtifactFile("model/MLmodel", f"{root}/MLmodel", len(MLMODEL), digest(MLMODEL)),
            ArtifactFile("model/model.pkl", f"{root}/model.pkl", 2, digest(b"42")),
        ],
        LOGGED: [ArtifactFile("MLmodel", f"{LOGGED}/artifacts/MLmodel", len(MLMODEL), digest(MLMODEL))],
    }
    assert set(found.mlmodels) == {f"{root}/MLmodel", f"{LOGGED}/artifacts/MLmodel"}
    assert found.unread == ["notes.txt"], "indexes are known and say nothing new; the rest is told"
    assert bytes_read == sorted(bytes_read)
    assert bytes_read[-1] == found.bytes == sum(member.size for member, _ in members(files))


def test_documents_among_artifacts_are_artifacts() -> None:
    """XGBoost saves a model.json, AutoML an experiment.json, and a run may hold another export."""
    names = ("model.json", "run.json", "experiment.json", "logged_model.json", "artifacts/run.json")
    files: Files = {f"{RUN}/run.json": run(), **{f"{RUN}/artifacts/{name}": b"not JSON" for name in names}}
    found = surveyed(files)
    assert [file.path for file in found.artifacts[RUN]] == list(names)
    assert not found.models


def test_a_run_that_is_there_twice_is_read_once() -> None:
    """Bulk exports hold a second copy of a run beside the model."""
    runs: list[str] = []
    second = changed(run(), "mlflow.params", {"depth": "other"})
    files: Files = {f"experiments/7/{RUN}/run.json": run(), f"models/orders/{RUN}/run.json": second}
    found = survey(members(files), lambda record: runs.append(record.params["depth"]))
    assert runs == ["3"]
    assert found.runs[RUN].folder == f"experiments/7/{RUN}"


def test_the_same_experiment_or_logged_model_twice_is_one() -> None:
    files: Files = {
        "a/experiment.json": experiment(),
        "b/experiment.json": experiment(),
        f"a/{LOGGED}/logged_model.json": logged_model(),
        f"b/{LOGGED}/logged_model.json": logged_model(),
    }
    found = surveyed(files)
    assert found.experiments["7"].folder == "a"
    assert found.logged_models[LOGGED].folder == f"a/{LOGGED}"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({}, {}),
        ({"readme.txt": b"hello"}, {}),
        ({"manifest.json": {}, f"{RUN}/artifacts/run.json": run()}, {}),
        ({"a/run.json": b"{"}, {"file": "a/run.json"}),
        (
            {"a/run.json": changed(run(), "mlflow.info.status", 1)},
            {"file": "a/run.json", "field": "mlflow.info.status"},
        ),
        (
            {"a/experiment.json": experiment(), "b/experiment.json": experiment(name="other")},
            {"file": "b/experiment.json", "field": "mlflow.experiment.experiment_id"},
        ),
        (
            {"a/model.json": registered_model(), "b/model.json": registered_model()},
            {"file": "b/model.json", "field": "mlflow.registered_model.name"},
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(files: Files, where: dict[str, str]) -> None:
    with pytest.raises(ExportRefused) as refused:
        surveyed(files)
    assert refused.value.where == where


def test_an_error_of_the_archive_passes_through() -> None:
    def broken() -> object:
        yield from members({f"{RUN}/run.json": run()})
        raise ArchiveRefused("The archive is truncated.")

    with pytest.raises(ArchiveRefused):
        survey(broken(), lambda _: None)  # type: ignore[arg-type]  # a generator of members


@pytest.mark.parametrize("depth", [60, 200, 400, 600, 800, 900, 950, 980, 5000])
@pytest.mark.parametrize("field", ["tags", "newer"])
def test_every_depth_of_json_is_read_or_refused(field: str, depth: int) -> None:
    """What can just be parsed may be too deep to be written again."""
    nested = "[" * depth + "]" * depth
    text = b'{"mlflow": {"info": {"run_id": "a"}, "%s": {"a": %s}}}' % (field.encode(), nested.encode())
    with contextlib.suppress(ExportRefused):
        found = surveyed({"a/run.json": text})
        assert depth < 1000
        assert found.runs["a"].tags == ({"a": nested} if field == "tags" else {})


# Which files are a version's. The run logged three folders, one of them named like the folder of all.
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


REAL = {
    # export: experiments, runs, logged models, versions that have files, artifact files
    "mlflow130-tool120-experiment-iris": (1, 3, 0, 0, 27),
    "mlflow130-tool120-model-dummy": (0, 4, 0, 4, 20),
    "mlflow222-git2407-experiment-iris": (1, 3, 0, 0, 30),
    "mlflow222-master-experiment-iris": (1, 3, 0, 0, 30),
    "mlflow222-master-model-orders": (0, 3, 0, 3, 30),
    "mlflow317-master-experiment-iris": (1, 3, 3, 0, 30),
    "mlflow317-master-model-dummy": (0, 4, 4, 4, 20),
    "mlflow317-tool120-model-dummy": (0, 4, 0, 0, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_exports(name: str) -> None:
    path = EXPORTS / f"{name}.tar.gz"
    with path.open("rb") as archive:
        found = survey(read_members(archive, path.stat().st_size), lambda _: None)
    versions = [item for model in found.models.values() for item in model.versions]
    held = [item for item in versions if version_files(found, item).files]
    files = sum(len(files) for files in found.artifacts.values())
    assert (len(found.experiments), len(found.runs), len(found.logged_models), len(held), files) == REAL[name]
    assert not found.unread


# MLmodel files


def test_mlmodel() -> None:
    text = (
        MLMODEL
        + b"""
  outputs: null
  params: '[]'
saved_input_example_info: {artifact_path: input_example.json}
"""
    )
    assert read_mlmodel(text) == MLmodel(
        flavors={"python_function": {"loader_module": "mlflow.sklearn"}},
        signature={"inputs": [{"name": "x", "type": "double"}], "outputs": None, "params": []},
        input_example=True,
    )


def test_flavors_become_plain_data() -> None:
    text = b"""
flavors:
  1: {nan: .nan, inf: -.inf, big: 0x1%s, day: 2026-01-31, yes: true, none: ~, bytes: !!binary aGk=}
  2026-01-31: [1, 2.5]
  set: !!set {a: null}
""" % (b"0" * 5000)
    mlmodel = read_mlmodel(text)
    assert mlmodel is not None
    assert mlmodel.flavors == {
        "1": {
            "nan": "NaN",
            "inf": "-Infinity",
            "big": "0x1" + "0" * 5000,
            "day": "2026-01-31",
            "True": True,
            "none": None,
            "bytes": "b'hi'",
        },
        "2026-01-31": [1, 2.5],
        "set": ["a"],
    }


BOMB = b"a: &a [x]\n" + b"".join(
    b"b%d: &b%d [*%s, *%s]\n" % (n, n, at, at) for n, at in ((0, b"a"), (1, b"b0"), (2, b"b1"))
)
HOSTILE = {
    "empty": b"",
    "not a mapping": b"- a\n- b\n",
    "plain text": b"hello",
    "not YAML": b"{]",
    "a tab": b"a:\n\t- b",
    "not UTF-8": b"flavors: {a: \xff}",
    "two documents": b"flavors: {}\n---\nflavors: {}\n",
    "no flavors": b"artifact_path: model\n",
    "flavors of another type": b"flavors: [sklearn]\n",
    "null flavors": b"flavors:\n",
    "bomb of aliases": BOMB + b"flavors: {a: *b2}\n",
    "a single alias": b"a: &a {}\nflavors: *a\n",
    "an alias that holds itself": b"flavors: &a {a: *a}\n",
    "deep flow": b"flavors: {a: " + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep blocks": b"flavors:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, MAX_DEPTH + 2)),
    "a Python object": b"flavors: !!python/object/apply:os.system [id]\n",
    "a Python object inside": b"flavors: {a: !!python/name:os.system }\n",
    "a key that is a list": b"flavors: {? [a, b] : c}\n",
    "a number that is too long": b"flavors: {a: " + b"9" * 5000 + b"}\n",
    "a time that is none": b"flavors: {a: 2026-99-99}\n",
    "NUL in a text": b'flavors: {a: "b\\0"}\n',
    "NUL in a key": b'flavors: {"a\\0": b}\n',
    "half of a surrogate pair": b'flavors: {a: "\\ud800"}\n',
    "too large": b"flavors: {}\n#" + b" " * MAX_SIZE,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_mlmodel_says_nothing(case: str) -> None:
    assert read_mlmodel(HOSTILE[case]) is None


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("null", None),
        ("text", None),
        ("[inputs]", None),
        ("{}", None),
        ("{inputs: null}", None),
        ("{inputs: ''}", None),
        ("{inputs: 'not JSON'}", {"inputs": "not JSON", "outputs": None, "params": None}),
        ("{inputs: '[1'}", {"inputs": "[1", "outputs": None, "params": None}),
        ("{inputs: [{type: long}]}", {"inputs": [{"type": "long"}], "outputs": None, "params": None}),
        ("{inputs: '[NaN]'}", {"inputs": ["NaN"], "outputs": None, "params": None}),
        # What no database holds stays as the text that it was in the file.
        (r"""{inputs: '["\ud800"]'}""", {"inputs": r'["\ud800"]', "outputs": None, "params": None}),
        (r"""{inputs: '["\u0000"]'}""", {"inputs": r'["\u0000"]', "outputs": None, "params": None}),
        (
            "{inputs: '" + "[" * 65 + "]" * 65 + "'}",
            {"inputs": "[" * 65 + "]" * 65, "outputs": None, "params": None},
        ),
        (
            "{inputs: '" + "[" * 5000 + "]" * 5000 + "'}",
            {"inputs": "[" * 5000 + "]" * 5000, "outputs": None, "params": None},
        ),
    ],
)
def test_signatures(signature: str, expected: object) -> None:
    mlmodel = read_mlmodel(f"flavors: {{}}\nsignature: {signature}\n".encode())
    assert mlmodel is not None
    assert mlmodel.signature == expected


def test_a_hostile_mlmodel_does_not_spoil_the_survey() -> None:
    files: Files = {**model_export(), f"{RUN}/artifacts/model/MLmodel": HOSTILE["bomb of aliases"]}
    found = surveyed(files)
    assert found.mlmodels == {}
    assert Counter(file.path for file in found.artifacts[RUN]) == {"model/MLmodel": 1, "model/model.pkl": 1}
