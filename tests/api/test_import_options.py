"""Options of an import: names, paths to register, stages; and what its report tells."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient

from tests.api.conftest import ORDERS, OTHER_RUN
from tests.api.importing import IMPORTS, counted
from tests.small_exports import RUN, Document, changed, experiment, model_export, packed, run


def test_central_names(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    query = {"experiment_name": "/Central/Ünïcode 😀", "model_name": "central orders"}
    sent = places.post(IMPORTS, data=packed({"experiment.json": experiment(), **model_export()}), query_string=query)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert [row["name"] for row in report["experiments"]] == ["/Central/Ünïcode 😀"]
    assert [(row["model"], row["original_model"]) for row in report["versions"]] == [("central orders", "orders")]


def test_registering_a_path_of_each_run(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    early = changed(run(OTHER_RUN), "mlflow.info.start_time", 1)
    files: dict[str, bytes | Document] = {
        f"{RUN}/run.json": run(),
        f"{RUN}/artifacts/model/model.pkl": b"42",
        f"{OTHER_RUN}/run.json": early,
        f"{OTHER_RUN}/artifacts/model/model.pkl": b"41",
        f"{'c' * 32}/run.json": run("c" * 32),
    }
    query = {"register": "model", "model_name": "fresh"}
    sent = places.post(IMPORTS, data=packed(files), query_string=query)
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert [(row["version"], row["run_id"]) for row in report["versions"]] == [(1, OTHER_RUN), (2, RUN)]
    for path in ("model", "/"):  # the whole of a run's artifacts is a path too
        places.post(IMPORTS, data=packed(files), query_string={**query, "register": path})
        run_imports()
        more = packed({**files, "note.txt": path.encode()})
        sent = places.post(IMPORTS, data=more, query_string={**query, "register": path})
        run_imports()
        report = places.get(sent.headers["Location"]).get_json()["report"]
        assert report["counts"]["versions"] == counted(0, skipped=2)
        assert report["unread_files"] == ["note.txt"]


def test_what_the_tool_could_not_export_is_told(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    listed = changed(experiment(), "mlflow.runs", [RUN, "absent"])
    files = {"experiment.json": changed(listed, "info.failed_runs", ["broken"]), f"{RUN}/run.json": run()}
    sent = places.post(IMPORTS, data=packed(files))
    run_imports()
    report = places.get(sent.headers["Location"]).get_json()["report"]
    assert report["failed"] == [
        {"kind": "run", "name": "broken", "reason": "the export tool recorded it as failed"},
        {"kind": "run", "name": "absent", "reason": "experiment.json lists it and its folder is not there"},
    ]
    assert report["counts"]["runs"] == counted(1, failed=2)


def test_the_source_s_stages_are_applied_on_request(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    places.post(IMPORTS, data=ORDERS)
    run_imports()
    assert places.get("/v1/environments/prod/stages").get_json()["assignments"] == []
    places.post(IMPORTS, data=ORDERS, query_string={"environment": "prod"})
    run_imports()
    (held,) = places.get("/v1/environments/prod/stages").get_json()["assignments"]
    assert (held["model"], held["stage"], held["version"], held["assigned_by"]) == ("orders", "Production", 1, "test")
    assert places.get("/v1/environments/qa/stages").get_json()["assignments"] == []
