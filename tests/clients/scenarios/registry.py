"""Registered models and their versions, in one environment."""

from __future__ import annotations

import tempfile
from pathlib import Path

import answering
import mlflow
import mlflow.pyfunc
from mlflow.tracking import MlflowClient
from proof import PREFIX, absent, knows, proven, refused

NAME = f"{PREFIX}-orders"
client = MlflowClient()


def logged(number: float) -> tuple[str, str]:
    """A run with a model that answers with `number`: its id, and the URI of the model."""
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        answering.write(Path(folder), number)
        mlflow.log_artifacts(folder, "model")
    return run.info.run_id, f"{run.info.artifact_uri}/model"


def answer(uri: str) -> float:
    return mlflow.pyfunc.load_model(uri).predict([[1.0]])[0]


def models() -> None:
    with proven("MlflowClient.create_registered_model"):
        made = client.create_registered_model(NAME, {"team": "ü"}, "what it is")
        assert (made.name, made.tags, made.description) == (NAME, {"team": "ü"}, "what it is")
    with refused("create_registered_model: a name that is taken", "as MLflow says", "already exists"):
        client.create_registered_model(NAME)
    with proven("MlflowClient.get_registered_model"):
        assert client.get_registered_model(NAME).description == "what it is"
    with proven("MlflowClient.update_registered_model"):
        assert client.update_registered_model(NAME, "another text").description == "another text"
    with proven("MlflowClient.set_registered_model_tag, delete_registered_model_tag"):
        client.set_registered_model_tag(NAME, "k", "v")
        assert client.get_registered_model(NAME).tags == {"team": "ü", "k": "v"}
        client.delete_registered_model_tag(NAME, "k")
        assert client.get_registered_model(NAME).tags == {"team": "ü"}
    with proven("MlflowClient.search_registered_models: filter, order, pages"):
        for letter in "abc":
            client.create_registered_model(f"{PREFIX}-list-{letter}")
        asked = {
            "filter_string": f"name LIKE '{PREFIX}-list-%'",
            "order_by": ["name DESC"],
            "max_results": 2,
        }
        first = client.search_registered_models(**asked)
        rest = client.search_registered_models(**asked, page_token=first.token)
        assert [item.name[-1] for item in [*first, *rest]] == ["c", "b", "a"]
        assert (len(first), rest.token or None) == (2, None)
    with proven("MlflowClient.rename_registered_model"):
        client.rename_registered_model(f"{PREFIX}-list-a", f"{PREFIX}-renamed")
        assert client.get_registered_model(f"{PREFIX}-renamed").name == f"{PREFIX}-renamed"
        assert not client.search_registered_models(f"name = '{PREFIX}-list-a'")
    with proven("MlflowClient.delete_registered_model: one without versions"):
        client.delete_registered_model(f"{PREFIX}-list-b")
        assert not client.search_registered_models(f"name = '{PREFIX}-list-b'")


def versions() -> None:
    """1, 2 and 3 answer with these numbers."""
    with proven("MlflowClient.create_model_version"):
        for number in (1, 2, 3):
            run_id, source = logged(number)
            made = client.create_model_version(NAME, source, run_id, tags={"n": str(number)}, description=f"d{number}")
            assert (made.name, int(made.version), made.run_id, made.status) == (NAME, number, run_id, "READY")
    for what, source in {
        "of another place": "s3://elsewhere/model",
        "of a file": "file:///etc",
        "that leaves its place": "mlflow-artifacts:/0/../../x",
    }.items():
        with refused(
            f"create_model_version: a source {what}", "versions are made of this registry's artifacts", "source"
        ):
            client.create_model_version(NAME, source)
    with proven("MlflowClient.get_model_version"):
        read = client.get_model_version(NAME, "2")
        assert (read.description, read.tags["n"], read.current_stage) == ("d2", "2", "None")
    with proven("MlflowClient.update_model_version"):
        assert client.update_model_version(NAME, "2", "other").description == "other"
    with proven("MlflowClient.set_model_version_tag, delete_model_version_tag"):
        client.set_model_version_tag(NAME, "2", "checked", "yes")
        assert client.get_model_version(NAME, "2").tags["checked"] == "yes"
        client.delete_model_version_tag(NAME, "2", "checked")
        assert "checked" not in client.get_model_version(NAME, "2").tags
    with proven("MlflowClient.search_model_versions: filter"):
        found = client.search_model_versions(f"name = '{NAME}'")
        assert sorted(int(item.version) for item in found) == [1, 2, 3]
        run_id = client.get_model_version(NAME, "3").run_id
        assert [int(item.version) for item in client.search_model_versions(f"run_id = '{run_id}'")] == [3]
    if "max_results" in client.search_model_versions.__code__.co_varnames:
        with proven("MlflowClient.search_model_versions: order, pages"):
            asked = {"filter_string": f"name = '{NAME}'", "order_by": ["version_number ASC"], "max_results": 2}
            first = client.search_model_versions(**asked)
            rest = client.search_model_versions(**asked, page_token=first.token)
            assert [[int(item.version) for item in page] for page in (first, rest)] == [[1, 2], [3]]
    else:
        absent("MlflowClient.search_model_versions: order, pages")
    with proven("MlflowClient.get_model_version_download_uri"):
        uri = client.get_model_version_download_uri(NAME, "1")
        path = mlflow.artifacts.download_artifacts(f"{uri}/data/answer.txt")
        assert Path(path).read_text() == "1"
    with proven("mlflow.artifacts.download_artifacts(models:/<name>/<version>)"):
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/2"))
        assert (folder / "data" / "answer.txt").read_text() == "2"
    with proven("mlflow.pyfunc.load_model(models:/<name>/<version>)"):
        assert [answer(f"models:/{NAME}/{number}") for number in (1, 2, 3)] == [1, 2, 3]


def stages() -> None:
    with proven("MlflowClient.get_model_version_stages"):
        assert client.get_model_version_stages(NAME, "1") == ["None", "Staging", "Production", "Archived"]
    with proven("MlflowClient.transition_model_version_stage"):
        for number, stage in ((3, "Production"), (2, "Staging")):
            moved = client.transition_model_version_stage(NAME, str(number), stage)
            assert (int(moved.version), moved.current_stage) == (number, stage)
    with proven("mlflow.pyfunc.load_model(models:/<name>/<Stage>)"):
        assert (answer(f"models:/{NAME}/Production"), answer(f"models:/{NAME}/staging")) == (3, 2)
    with proven("MlflowClient.get_latest_versions"):
        held = {item.current_stage: int(item.version) for item in client.get_latest_versions(NAME)}
        assert held.items() >= {"Production": 3, "Staging": 2}.items(), held
        assert [int(item.version) for item in client.get_latest_versions(NAME, ["Production"])] == [3]
    with proven("transition_model_version_stage: an older version back, archive_existing_versions"):
        client.transition_model_version_stage(NAME, "1", "Production", archive_existing_versions=True)
        assert [int(item.version) for item in client.get_latest_versions(NAME, ["Production"])] == [1]
        assert answer(f"models:/{NAME}/Production") == 1
    with refused("transition_model_version_stage: a stage that there is not", "the environment's stages", "stage"):
        client.transition_model_version_stage(NAME, "1", "Nowhere")
    with refused("load_model of a stage that holds no version", "as MLflow says", "no version"):
        client.create_registered_model(f"{PREFIX}-empty")
        mlflow.pyfunc.load_model(f"models:/{PREFIX}-empty/Production")


def aliases() -> None:
    if knows(client, "set_registered_model_alias", "MlflowClient.set_registered_model_alias"):
        with proven("MlflowClient.set_registered_model_alias"):
            client.set_registered_model_alias(NAME, "champion", "2")
            assert client.get_registered_model(NAME).aliases["champion"] in (2, "2")
    if knows(client, "get_model_version_by_alias", "MlflowClient.get_model_version_by_alias"):
        with proven("MlflowClient.get_model_version_by_alias"):
            assert int(client.get_model_version_by_alias(NAME, "champion").version) == 2
    if knows(client, "set_registered_model_alias", "mlflow.pyfunc.load_model(models:/<name>@<alias>)"):
        with proven("mlflow.pyfunc.load_model(models:/<name>@<alias>)"):
            assert answer(f"models:/{NAME}@champion") == 2
    if knows(client, "set_registered_model_alias", "mlflow.pyfunc.load_model(models:/<name>@<stage in lower case>)"):
        with proven("mlflow.pyfunc.load_model(models:/<name>@<stage in lower case>)"):
            assert answer(f"models:/{NAME}@production") == 1
    if knows(client, "delete_registered_model_alias", "MlflowClient.delete_registered_model_alias"):
        with proven("MlflowClient.delete_registered_model_alias"):
            client.delete_registered_model_alias(NAME, "champion")
            assert "champion" not in client.get_registered_model(NAME).aliases


def copying() -> None:
    if knows(client, "copy_model_version", "MlflowClient.copy_model_version"):
        with proven("MlflowClient.copy_model_version"):
            copied = client.copy_model_version(f"models:/{NAME}/2", f"{PREFIX}-copied")
            assert (copied.name, int(copied.version)) == (f"{PREFIX}-copied", 1)
            assert answer(f"models:/{PREFIX}-copied/1") == 2


def deleting() -> None:
    with refused("delete_model_version: one that is in a stage", "take it out first", "take it out"):
        client.delete_model_version(NAME, "1")
    with proven("delete_model_version: one in the stage Archived"):
        third = client.get_model_version(NAME, "3")
        spare = client.create_model_version(NAME, third.source, third.run_id)
        client.transition_model_version_stage(NAME, spare.version, "Archived")
        client.delete_model_version(NAME, spare.version)
        assert "Archived" not in [item.current_stage for item in client.get_latest_versions(NAME)]
    with proven("MlflowClient.delete_model_version"):
        client.delete_model_version(NAME, "3")
        assert sorted(int(item.version) for item in client.search_model_versions(f"name = '{NAME}'")) == [1, 2]
    with refused("delete_registered_model: one with a version in a stage", "take that out first", "take it out"):
        client.delete_registered_model(NAME)


def main() -> None:
    mlflow.set_experiment(f"{PREFIX}/registry")
    models()
    versions()
    stages()
    aliases()
    copying()
    deleting()


if __name__ == "__main__":
    main()
