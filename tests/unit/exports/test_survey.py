"""One pass over an export, and what it finds."""

from __future__ import annotations

import contextlib

import pytest

from service.domain.errors import ArchiveRefused, ExportRefused
from service.exports.archive import read_members
from service.exports.records import RunRecord
from service.exports.survey import ArtifactFile, survey
from service.exports.versions import version_files
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
)
from tests.unit.exports.surveying import digest, surveyed


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
