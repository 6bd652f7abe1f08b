"""Thousands of versions, of one model and of the same files."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from service.domain.errors import TooLarge
from service.exports import single_versions as versions_in_files
from service.exports import versions as versions_module
from service.exports.survey import ArtifactFile, Survey, survey
from service.exports.versions import VersionSources
from tests.small_exports import LOGGED, MLMODEL, RUN, Files, logged_model, members, registered_model, run, version

MANY = 8000
SECONDS = 10
AT = f"mlflow-artifacts:/7/{RUN}/artifacts"


def surveyed(files: Files) -> Survey:
    return survey(members(files), lambda _: None)


def quickly(work: Callable[[], object]) -> None:
    began = time.monotonic()
    work()
    assert time.monotonic() - began < SECONDS


def exported(source: Callable[[int], str], files: int = 1, **row: object) -> tuple[Survey, VersionSources]:
    found = surveyed(
        {
            f"{RUN}/run.json": run(outputs={"model_outputs": [{"model_id": LOGGED, "step": n} for n in range(files)]}),
            f"{LOGGED}/logged_model.json": logged_model(),
            "model.json": registered_model(*(version(str(n), source=source(n), **row) for n in range(1, MANY + 1))),
        }
    )
    found.artifacts[RUN] = [ArtifactFile(f"model/{n}", f"{RUN}/artifacts/model/{n}", 1, "0" * 64) for n in range(files)]
    found.artifacts["version_model"] = [ArtifactFile("MLmodel", "version_model/MLmodel", 1, "0" * 64)] * files
    return found, VersionSources(found)


def test_copies_of_copies() -> None:
    found, sources = exported(lambda n: f"models:/orders/{n - 1}" if n > 1 else f"{AT}/model")
    held: list[int] = []
    quickly(lambda: held.extend(len(sources.of(each).files) for each in found.models["orders"].versions))
    assert held == [1] * MANY


@pytest.mark.parametrize("path", ["model", "other {}", "model/{}"])
def test_versions_of_a_run_of_many_files(path: str) -> None:
    found, sources = exported(lambda n: f"{AT}/{path.format(n)}", files=5000)
    held: list[int] = []
    quickly(lambda: held.extend(len(sources.of(each).files) for each in found.models["orders"].versions))
    assert len(held) == MANY


def test_versions_with_one_folder_beside_them() -> None:
    found, sources = exported(lambda n: f"models:/{LOGGED}", files=5000)
    held: list[int] = []
    quickly(lambda: held.extend(len(sources.of(each).files) for each in found.models["orders"].versions))
    assert held == [5000] * MANY


def test_a_number_that_is_there_twice_is_the_first() -> None:
    found = surveyed(
        {
            f"{RUN}/run.json": run(),
            f"{RUN}/artifacts/a/MLmodel": MLMODEL,
            "model.json": registered_model(
                version("1", source=f"{AT}/a"), version("1", source=f"{AT}/b"), version("2", source="models:/orders/1")
            ),
        }
    )
    sources = VersionSources(found)
    assert [len(sources.of(each).files) for each in found.models["orders"].versions] == [1, 0, 1]


def test_versions_in_files_of_their_own() -> None:
    """In any order, before and behind the model's; of a number that is there twice, the first."""
    rows = [{"mlflow": {"model_version": version(str(n % MANY + 1), name="orders")}} for n in range(MANY + 2000, 0, -1)]
    files: Files = {f"{n}/version.json": row for n, row in enumerate(rows)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions_in_files, "MAX_VERSIONS", 2 * MANY)
        found = survey(
            members(files | {"model.json": registered_model(version("7", description="known"))}), lambda _: None
        )
    quickly(lambda: versions_in_files.attach_versions(found.models, found.single_versions))  # once more changes nothing
    numbers = [each.version for each in found.models["orders"].versions]
    assert numbers == list(range(1, MANY + 1))
    assert found.models["orders"].versions[6].description == "known"


def test_versions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_in_files, "MAX_VERSIONS", 2)
    single = {"mlflow": {"model_version": version("3", name="orders")}}
    files: Files = {"model.json": registered_model(version("1"), version("2"))}
    surveyed(files)
    with pytest.raises(TooLarge, match="more than 2 versions") as refused:
        surveyed({**files, "version.json": single})
    assert refused.value.where == {"file": "version.json"}
    with pytest.raises(TooLarge, match="more than 2 versions"):
        surveyed({"version.json": single, **files})


def test_their_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "MAX_FILES", 9)
    _, sources = exported(lambda n: "", files=5)
    assert len(sources.below(RUN, "model")) == len(sources.below(RUN, "/model/")) == 5
    with pytest.raises(TooLarge, match="more than 9 files"):
        sources.below(RUN, "")
