"""Experiments and runs, as a data scientist's notebook writes and reads them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
import requests
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from proof import PREFIX, knows, proven, refused
from sklearn.linear_model import LogisticRegression

FEATURES = np.array([[i % 7, i % 3] for i in range(30)], dtype=float)
TARGET = np.array([i % 2 for i in range(30)])
client = MlflowClient()


def experiments() -> str:
    """The id of the one that the rest logs to."""
    with proven("mlflow.set_experiment"):
        experiment = mlflow.set_experiment(f"{PREFIX}/main").experiment_id
    with proven("MlflowClient.create_experiment"):
        other = client.create_experiment(f"{PREFIX}/öther", tags={"team": "orders"})
        assert client.get_experiment(other).tags["team"] == "orders"
    with refused(
        "create_experiment(artifact_location=…)", "the registry keeps all artifacts itself", "artifact_location"
    ):
        client.create_experiment(f"{PREFIX}/elsewhere", artifact_location="s3://elsewhere/x")
    with proven("MlflowClient.get_experiment_by_name"):
        assert client.get_experiment_by_name(f"{PREFIX}/öther").experiment_id == other
        assert client.get_experiment_by_name(f"{PREFIX}/nowhere") is None
    with proven("MlflowClient.set_experiment_tag"):
        client.set_experiment_tag(other, "owner", "jane ü")
        assert client.get_experiment(other).tags == {"team": "orders", "owner": "jane ü"}
    with proven("MlflowClient.rename_experiment"):
        client.rename_experiment(other, f"{PREFIX}/other")
        assert client.get_experiment(other).name == f"{PREFIX}/other"
    with proven("MlflowClient.delete_experiment"):
        client.delete_experiment(other)
        assert client.get_experiment(other).lifecycle_stage == "deleted"
    with proven("MlflowClient.restore_experiment"):
        client.restore_experiment(other)
        assert client.get_experiment(other).lifecycle_stage == "active"
    with proven("MlflowClient.search_experiments: filter, order, pages"):
        asked = {"filter_string": f"name LIKE '{PREFIX}/%'", "order_by": ["name DESC"], "max_results": 1}
        first = client.search_experiments(**asked)
        rest = client.search_experiments(**asked, page_token=first.token)
        assert [item.name for item in [*first, *rest]] == [f"{PREFIX}/other", f"{PREFIX}/main"]
    return experiment


def autolog() -> None:
    with proven("mlflow.sklearn.autolog: a fit with its model and plots"):
        mlflow.sklearn.autolog(silent=True)
        with mlflow.start_run(run_name="autolog") as run:
            LogisticRegression(C=0.5).fit(FEATURES, TARGET)
        mlflow.sklearn.autolog(disable=True)
        read = client.get_run(run.info.run_id)
        assert read.data.params["C"] == "0.5"
        assert 0 <= read.data.metrics["training_score"] <= 1
        names = {item.path for item in client.list_artifacts(run.info.run_id)}
        plots = {"training_confusion_matrix.png", "training_roc_curve.png", "training_precision_recall_curve.png"}
        assert plots <= names, names
        png = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=min(plots))).read_bytes()
        assert png.startswith(b"\x89PNG")
        loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
        assert loaded.predict(FEATURES).shape == (30,)


def run_data() -> str:
    """The id of the run."""
    with proven("mlflow.start_run, log_param(s), log_metric(s), set_tag(s)"):
        with mlflow.start_run(run_name="ünicode run", description="what it is", tags={"kind": "first"}) as run:
            mlflow.log_param("depth", 3)
            mlflow.log_params({"a": "ü", "b": "x" * 250})
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"auc": 0.75, "big": 1e300, "nan": float("nan"), "inf": float("inf")})
            mlflow.set_tag("state", "ok")
            mlflow.set_tags({"t1": "1", "t2": "2"})
        read = client.get_run(run.info.run_id)
        assert read.data.params == {"depth": "3", "a": "ü", "b": "x" * 250}
        assert (read.data.metrics["loss"], read.data.metrics["auc"], read.data.metrics["big"]) == (1 / 3, 0.75, 1e300)
        assert read.data.metrics["nan"] != read.data.metrics["nan"]
        assert read.data.tags["mlflow.runName"] == "ünicode run"
        assert (read.info.status, read.data.tags["t2"]) == ("FINISHED", "2")
    run_id = run.info.run_id
    with proven("MlflowClient.delete_tag"):
        client.delete_tag(run_id, "t1")
        assert "t1" not in client.get_run(run_id).data.tags
    with proven("MlflowClient.log_batch"):
        metrics = [Metric("bulk", i / 10, 1000 + i, i) for i in range(300)]
        client.log_batch(run_id, metrics, [Param("late", "p")], [RunTag("late", "t")])
    with proven("MlflowClient.get_metric_history"):
        history = client.get_metric_history(run_id, "bulk")
        assert [(p.value, p.timestamp, p.step) for p in sorted(history, key=lambda p: p.step)] == [
            (i / 10, 1000 + i, i) for i in range(300)
        ]
    with refused("log_param: another value for a param that has one", "params never change", "depth"):
        client.log_param(run_id, "depth", 4)
    with proven("MlflowClient.set_terminated"):
        client.set_terminated(run_id, "FAILED")
        assert client.get_run(run_id).info.status == "FAILED"
    with proven("MlflowClient.delete_run, restore_run"):
        client.delete_run(run_id)
        assert client.get_run(run_id).info.lifecycle_stage == "deleted"
        client.restore_run(run_id)
        assert client.get_run(run_id).info.lifecycle_stage == "active"
    return run_id


def nested() -> None:
    with proven("mlflow.start_run(nested=True)"):
        with mlflow.start_run(run_name="parent") as parent:
            for depth in range(2):
                with mlflow.start_run(run_name=f"child {depth}", nested=True):
                    mlflow.log_metric("score", depth)
        found = mlflow.search_runs(
            filter_string=f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", order_by=["metrics.score DESC"]
        )
        assert list(found["tags.mlflow.runName"]) == ["child 1", "child 0"]


def searching(experiment: str) -> None:
    ids = []
    for i in range(5):
        run = client.create_run(experiment, tags={"series": "s", "odd": str(i % 2)})
        client.log_param(run.info.run_id, "i", i)
        client.log_metric(run.info.run_id, "v", i / 2)
        client.set_terminated(run.info.run_id)
        ids.append(run.info.run_id)

    def found(condition: str, **asked: object) -> list[str]:
        rows = client.search_runs([experiment], f"tags.series = 's' and {condition}", order_by=["metrics.v"], **asked)
        return [row.info.run_id for row in rows]

    with proven("MlflowClient.search_runs: filter by params, metrics, tags, attributes"):
        assert found("params.i = '3'") == [ids[3]]
        assert found("metrics.v >= 1 and metrics.v < 2") == ids[2:4]
        assert found("tags.odd = '1'") == ids[1::2]
        assert found("attributes.status = 'FINISHED'") == ids
        assert found("params.i LIKE '%4'") == [ids[4]]
    with proven("MlflowClient.search_runs: order and pages"):
        asked = {"filter_string": "tags.series = 's'", "order_by": ["metrics.v DESC"], "max_results": 2}
        pages, token = [], None
        while token or not pages:
            page = client.search_runs([experiment], page_token=token, **asked)
            pages.append([row.info.run_id for row in page])
            token = page.token
        assert pages == [ids[4:2:-1], ids[2:0:-1], ids[:1]]
    with proven("MlflowClient.search_runs: deleted ones"):
        client.delete_run(ids[0])
        assert found("metrics.v >= 0") == ids[1:]
        assert found("metrics.v >= 0", run_view_type=ViewType.DELETED_ONLY) == ids[:1]
        assert found("metrics.v >= 0", run_view_type=ViewType.ALL) == ids
    with refused("search_runs: a filter that is none", "as MLflow says", "filter"):
        client.search_runs([experiment], "metrics.v = = 1")
    with proven("GET metrics/get-history-bulk, as the comparison of runs asks"):
        headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"}
        asked = {"run_id": ids[1:3], "metric_key": "v", "max_results": 10}
        place = f"{mlflow.get_tracking_uri()}/ajax-api/2.0/mlflow/metrics/get-history-bulk"
        answer = requests.get(place, asked, headers=headers, timeout=30)
        assert {row["run_id"]: row["value"] for row in answer.json()["metrics"]} == {ids[1]: 0.5, ids[2]: 1.0}


def artifacts_of_a_run(run_id: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_id=run_id):
        (Path(folder) / "notes.txt").write_text("notes")
        (Path(folder) / "more").mkdir()
        (Path(folder) / "more" / "data.bin").write_bytes(b"\0\1" * 500)
        with proven("mlflow.log_artifact"):
            mlflow.log_artifact(f"{folder}/notes.txt", "single")
            assert [item.path for item in client.list_artifacts(run_id, "single")] == ["single/notes.txt"]
        with proven("mlflow.log_artifacts"):
            mlflow.log_artifacts(folder, "many")
            sizes = {item.path: item.file_size for item in client.list_artifacts(run_id, "many/more")}
            assert sizes == {"many/more/data.bin": 1000}
        with proven("mlflow.log_dict, log_text"):
            mlflow.log_dict({"k": [1, "ü"]}, "config.json")
            mlflow.log_text("hällo", "said/hello.txt")
            assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"k": [1, "ü"]}
            assert mlflow.artifacts.load_text(f"runs:/{run_id}/said/hello.txt") == "hällo"
        with proven("mlflow.log_figure"):
            figure = Figure()
            figure.subplots().plot([1, 2, 3])
            mlflow.log_figure(figure, "plots/line.png")
            path = client.download_artifacts(run_id, "plots/line.png", folder)
            assert Path(path).read_bytes().startswith(b"\x89PNG")
        if knows(mlflow, "log_table", "mlflow.log_table, load_table"):
            with proven("mlflow.log_table, load_table"):
                mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
                assert list(mlflow.load_table("table.json", run_ids=[run_id])["n"]) == [1, 2]
        if knows(mlflow, "log_input", "mlflow.log_input"):
            with proven("mlflow.log_input"):
                mlflow.log_input(mlflow.data.from_numpy(FEATURES, name="orders"), context="training")
                assert [item.dataset.name for item in client.get_run(run_id).inputs.dataset_inputs] == ["orders"]


def log_model() -> None:
    name = f"{PREFIX}-fitted"
    place = "name" if hasattr(mlflow, "search_logged_models") else "artifact_path"
    model = LogisticRegression().fit(FEATURES, TARGET)
    with proven("mlflow.sklearn.log_model(signature, input_example, registered_model_name)"):
        with mlflow.start_run(run_name="log_model") as run:
            info = mlflow.sklearn.log_model(
                model,
                **{place: "classifier"},
                signature=infer_signature(FEATURES, model.predict(FEATURES)),
                input_example=FEATURES[:2],
                registered_model_name=name,
                pip_requirements=["scikit-learn"],
            )
        assert [len(info.signature.inputs.inputs), info.saved_input_example_info is not None] == [1, True]
        version = client.get_model_version(name, "1")
        assert (version.run_id, version.status) == (run.info.run_id, "READY")
    with proven("mlflow.pyfunc.load_model(models:/<name>/<version>) of what was registered"):
        loaded = mlflow.pyfunc.load_model(f"models:/{name}/1")
        assert list(loaded.predict(FEATURES)) == list(model.predict(FEATURES))
        assert loaded.metadata.get_input_schema().input_types()
    with proven("mlflow.register_model(runs:/<run>/<path>)"):
        assert mlflow.register_model(f"runs:/{run.info.run_id}/classifier", name).version in (2, "2")
        assert client.get_model_version(name, "2").status == "READY"
    if knows(client, "search_logged_models", "MlflowClient.get_logged_model, search_logged_models, tags"):
        with proven("MlflowClient.get_logged_model, search_logged_models, tags"):
            logged = client.get_logged_model(info.model_id)
            assert (logged.name, str(logged.status)) == ("classifier", "READY")
            client.set_logged_model_tags(info.model_id, {"checked": "yes"})
            rows = client.search_logged_models([logged.experiment_id], filter_string="tags.checked = 'yes'")
            assert [row.model_id for row in rows] == [info.model_id]


def main() -> None:
    experiment = experiments()
    autolog()
    run_id = run_data()
    nested()
    searching(experiment)
    artifacts_of_a_run(run_id)
    log_model()


if __name__ == "__main__":
    main()
