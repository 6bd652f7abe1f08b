"""What every registry knows of a version beyond its own row."""

from __future__ import annotations

import math
from datetime import datetime

import pytest

from service.domain.model import ModelVersion
from service.domain.policy_facts import Evaluation, Measured
from service.usecases.model_ports import RunInfo
from tests.contract.registries import Registry
from tests.contract.samples import assign, assignment, at, exported, fill, manifest, new_version


@pytest.fixture
def iris(store: Registry) -> ModelVersion:
    """Version 1 of iris, of the logged model `model` of run-1."""
    fill(store)
    store.add_run(RunInfo("run-1", "7", "", "mlflow-artifacts:/7/run-1/artifacts", {}))
    store.add_run(RunInfo("run-2", "7", "", "mlflow-artifacts:/7/run-2/artifacts", {}))
    with store.transaction() as tx:
        return tx.models.add_version(
            new_version(lineage={"workspace": "dev", "artifact_path": "model"}, tags={"validated": "yes"})
        )


def test_params(store: Registry, iris: ModelVersion) -> None:
    store.add_measurements("run-1", {"b": "2", "a": "1", "Z": "ü", "empty": ""}, {})
    store.add_measurements("run-2", {"other": "x"}, {})
    with store.transaction() as tx:
        assert dict(tx.evidence.params(iris.run_id, 9)) == {"Z": "ü", "a": "1", "b": "2", "empty": ""}
        assert list(tx.evidence.params(iris.run_id, 2)) == ["Z", "a"]
        assert tx.evidence.params("absent", 9) == {}


def test_tags(store: Registry, iris: ModelVersion) -> None:
    store.add_version_tags("iris", 1, {"ticket": "OPS-1"})
    with store.transaction() as tx:
        assert tx.evidence.tags("iris", 1) == {"validated": "yes", "ticket": "OPS-1"}
        assert tx.evidence.tags("iris", 2) == {}
        other = tx.models.add_version(exported({"other": 1}, tags={"a": "1", "b": "2"}))
        tx.models.update_version(other, exported({"other": 1}, tags={"a": "3"}))
        assert tx.evidence.tags("other", 1) == {"a": "3", "b": "2"}


def test_metrics_of_the_run(store: Registry, iris: ModelVersion) -> None:
    store.add_measurements("run-1", {}, {"accuracy": 0.9, "loss": math.nan, "rest": 1.0})
    store.add_measurements("run-2", {}, {"accuracy": 0.1, "f1": 0.2})
    with store.transaction() as tx:
        found = tx.evidence.measured(iris, {"accuracy", "loss", "f1"})
        assert tx.evidence.measured(iris, ()) == Measured()
        assert list(tx.evidence.metric_names(iris, 9)) == ["accuracy", "loss", "rest"]
        assert list(tx.evidence.metric_names(iris, 1)) == ["accuracy"]
    assert found.evaluations == ()
    assert set(found.run) == {"accuracy", "loss"}
    assert found.run["accuracy"] == 0.9
    assert math.isnan(found.run["loss"])


def test_evaluations_of_the_logged_model(store: Registry, iris: ModelVersion) -> None:
    store.add_logged_model("run-1", "model", "mlflow-artifacts:/7/models/m/artifacts")
    store.add_logged_model("run-1", "other", "mlflow-artifacts:/7/models/o/artifacts")
    first, second, bare = (Evaluation("auc", name, 0.5 + place / 10) for place, name in enumerate(("a", "b", "")))
    newer = Evaluation("auc", "a", 0.9)
    store.add_evaluations("run-1", "model", [first, second, bare, newer, Evaluation("f1", "", 0.1)])
    store.add_evaluations("run-1", "other", [Evaluation("auc", "other", 0.0)])
    with store.transaction() as tx:
        found = tx.evidence.measured(iris, {"auc"})
        assert list(tx.evidence.metric_names(iris, 9)) == ["auc", "f1"]
    assert found == Measured({}, (second, bare, newer))
    assert found.value("auc", "evaluation", "") == 0.9
    assert found.value("auc", "evaluation", "b") == 0.6


def test_an_evaluation_that_is_not_a_number(store: Registry, iris: ModelVersion) -> None:
    store.add_logged_model("run-1", "model", "mlflow-artifacts:/7/models/m/artifacts")
    store.add_evaluations("run-1", "model", [Evaluation("loss", "", math.nan)])
    with store.transaction() as tx:
        (found,) = tx.evidence.measured(iris, {"loss"}).evaluations
    assert math.isnan(found.value)


Stretches = list[tuple[datetime, datetime | None]]


def stretches(store: Registry, content: str, stage: str = "Production") -> Stretches:
    with store.transaction() as tx:
        return list(tx.evidence.stretches("prod", "iris", stage, manifest(content).digest))


def test_stretches(store: Registry) -> None:
    fill(store, "a", "b", "a")  # 1 and 3 are the same bytes
    changes = [(1, 0), (2, 10), (1, 20), (3, 25), (2, 40), (3, 50)]
    with store.transaction() as tx:
        for version, minutes in changes:
            assign(tx, assignment(version, minutes=minutes))
        assign(tx, assignment(2, "Staging", minutes=5))
    assert stretches(store, "a") == [(at(0), at(10)), (at(20), at(40)), (at(50), None)]
    assert stretches(store, "b") == [(at(10), at(20)), (at(40), at(50))]
    assert stretches(store, "b", "Staging") == [(at(5), None)]
    assert stretches(store, "c") == stretches(store, "a", "Staging") == []
    with store.transaction() as tx:
        assert list(tx.evidence.stretches("absent", "iris", "Production", manifest("a").digest)) == []
