"""Every change and hand-out over the API is recorded, once, with who and what; and the trail can be asked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.domain.audit import GENESIS
from service.settings import Settings
from service.usecases.record_reads import Reads
from service.usecases.verify_audit import Verified, parse_rows, verify
from service.wiring import Parts
from tests.api.conftest import ORDERS, OTHER_RUN, Headers, bearer
from tests.api.problems import problem
from tests.small_exports import RUN, packed, registered_model, run, version

STAGE = "/v1/environments/prod/models/orders/stages/Production"
Row = dict[str, Any]


def trail(client: FlaskClient, query: str = "") -> list[Row]:
    """Oldest first."""
    rows: list[Row] = client.get(f"/v1/audit?limit=1000{query}").get_json()["rows"]
    return rows[::-1]


def last(client: FlaskClient) -> Row:
    return trail(client)[-1]


def told(row: Row) -> Row:
    """What a row says beside who, when and its place in the chain; empty texts left out."""
    beside = {"seq", "at", "actor_id", "actor", "request_id", "previous", "hash"}
    return {name: value for name, value in row.items() if name not in beside and value not in ("", None)}


def test_workspaces(client: FlaskClient) -> None:
    client.put("/v1/workspaces/dev", json={"kind": "mlflow", "description": "a"})
    first = {"kind": "mlflow", "url": "", "description": "a"}
    assert told(last(client)) == {"action": "workspace.created", "workspace": "dev", "after": first}
    client.put("/v1/workspaces/dev", json={"kind": "fabric"})
    second = {"kind": "fabric", "url": "", "description": ""}
    assert told(last(client)) == {
        "action": "workspace.changed",
        "workspace": "dev",
        "before": first,
        "after": second,
    }
    client.delete("/v1/workspaces/dev")
    assert told(last(client)) == {"action": "workspace.deleted", "workspace": "dev", "before": second}


def test_environments(client: FlaskClient) -> None:
    client.put("/v1/environments/prod", json={"stages": ["live"]})
    first = {"stages": ["live"], "description": ""}
    assert told(last(client)) == {"action": "environment.created", "environment": "prod", "after": first}
    client.put("/v1/environments/prod", json={"stages": ["next", "live"], "description": "b"})
    second = {"stages": ["next", "live"], "description": "b"}
    assert told(last(client)) == {
        "action": "environment.changed",
        "environment": "prod",
        "before": first,
        "after": second,
    }
    client.delete("/v1/environments/prod")
    assert told(last(client)) == {"action": "environment.deleted", "environment": "prod", "before": second}


def test_policies(client: FlaskClient) -> None:
    client.put("/v1/environments/prod", json={})
    rules = {"default": {"signature": True}}
    assert client.put("/v1/environments/prod/policy", json=rules).status_code in (200, 201)
    row = told(last(client))
    assert (row["action"], row["environment"]) == ("policy.changed", "prod")
    assert (row["before"]["number"], row["after"]["number"]) == (0, 1)
    assert row["after"]["policies"]["default"]["signature"] is True


def test_tokens_without_their_secrets(client: FlaskClient) -> None:
    body = {"name": "ci", "scopes": ["read:prod", "import:dev"], "expires_in_days": 1}
    made = client.post("/v1/tokens", json=body).get_json()
    shown = {"name": "ci", "scopes": body["scopes"], "expires_at": made["expires_at"]}
    row = last(client)
    assert row["after"].pop("expires_at")[:19] == shown.pop("expires_at")[:19]
    assert told(row) == {"action": "token.created", "subject": made["id"], "after": shown}
    client.delete(f"/v1/tokens/{made['id']}")
    client.delete(f"/v1/tokens/{made['id']}")
    rows = trail(client, f"&actor={row['actor_id']}")
    assert [each["action"] for each in rows] == ["token.created", "token.revoked"]
    assert rows[1]["subject"] == made["id"]
    assert made["token"] not in client.get("/v1/audit").get_data(as_text=True)


def test_an_import_and_what_it_brings(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    before = len(trail(places))
    headers = {"X-Request-Id": "the-import"}
    sent = places.post("/v1/workspaces/dev/imports?environment=prod", data=ORDERS, headers=headers).get_json()
    places.post("/v1/workspaces/dev/imports?environment=prod", data=ORDERS)  # the same import: nothing new
    run_imports()
    rows = trail(places)[before:]
    assert [row["action"] for row in rows] == [
        "import.received",
        "version.registered",
        "version.registered",
        "model.created",
        "stage.changed",
        "promotion.applied",
        "import.done",
    ]
    me = trail(places, "&action=workspace.")[0]["actor_id"]
    assert {(row["actor_id"], row["actor"], row["request_id"]) for row in rows} == {(me, "test", "the-import")}
    digests = [places.get(f"/v1/models/orders/versions/{version}").get_json()["digest"] for version in (1, 2)]
    assert rows[0]["after"] == {
        "archive_digest": sent["archive_digest"],
        "archive_size": len(ORDERS),
        "options": {"environment": "prod"},
    }
    for number, row in enumerate(rows[1:3], 1):
        assert (row["workspace"], row["model"], row["subject"]) == ("dev", "orders", str(number))
        assert row["after"]["digest"] == digests[number - 1]
    assert (rows[3]["model"], rows[3]["after"]) == ("orders", {"description": "", "tags": {}, "aliases": {}})
    assert (rows[4]["environment"], rows[4]["subject"], rows[4]["after"]["version"]) == ("prod", "Production", 1)
    assert (rows[5]["subject"], rows[5]["after"]["version"]) == ("Production", 1)
    assert (rows[6]["subject"], rows[6]["after"]["counts"]["versions"]["created"]) == (sent["id"], 2)


def test_what_a_later_export_changes(filled: FlaskClient, run_imports: Callable[[], int]) -> None:
    before = len(trail(filled))
    first = version("1", description="better than it was", tags=[{"key": "a", "value": "b"}])
    model = registered_model(first, version("2", OTHER_RUN), description="Orders", aliases=[])
    later = packed(
        {
            "model.json": model,
            f"{RUN}/run.json": run(),
            f"{RUN}/artifacts/model/MLmodel": b"flavors: {python_function: {loader_module: mlflow.sklearn}}\n",
            f"{RUN}/artifacts/model/model.pkl": b"42",
            f"{OTHER_RUN}/run.json": run(OTHER_RUN),
            f"{OTHER_RUN}/artifacts/model/model.pkl": b"43",
        }
    )
    filled.post("/v1/workspaces/dev/imports", data=later)
    run_imports()
    rows = trail(filled)[before:]
    assert [row["action"] for row in rows] == ["import.received", "version.changed", "model.changed", "import.done"]
    assert told(rows[1]) == {
        "action": "version.changed",
        "workspace": "dev",
        "model": "orders",
        "subject": "1",
        "after": {"description": "better than it was", "tags": {"a": "b"}},
    }
    assert told(rows[2]) == {
        "action": "model.changed",
        "workspace": "dev",
        "model": "orders",
        "before": {"description": ""},
        "after": {"description": "Orders"},
    }


def test_uploads(places: FlaskClient) -> None:
    before = len(trail(places))
    made = places.post("/v1/workspaces/dev/uploads", json={"size": 1000}).get_json()
    place = f"/v1/workspaces/dev/uploads/{made['id']}"
    assert places.get(f"{place}/urls").status_code == 200
    assert places.delete(place).status_code == 204
    rows = trail(places)[before:]
    assert [(row["action"], row["workspace"], row["subject"]) for row in rows] == [
        ("upload.begun", "dev", made["id"]),
        ("parts.handed_out", "dev", made["id"]),
        ("parts.handed_out", "dev", made["id"]),
        ("upload.ended", "dev", made["id"]),
    ]
    assert rows[1]["after"] == {"parts": 1, "expires_in": made["expires_in"]}


def test_imports_that_are_refused_or_cancelled(places: FlaskClient, run_imports: Callable[[], int]) -> None:
    sent = places.post("/v1/workspaces/dev/imports?environment=qa", data=ORDERS).get_json()["id"]
    for _ in range(2):
        assert places.delete(f"/v1/imports/{sent}").get_json()["state"] == "cancelled"
    assert [(row["action"], row["subject"]) for row in trail(places)[-2:]] == [
        ("import.received", sent),
        ("import.cancelled", sent),
    ]
    places.put("/v1/environments/qa", json={"stages": ["live"]})
    sent = places.post("/v1/workspaces/dev/imports?environment=qa", data=ORDERS).get_json()["id"]
    run_imports()
    row = last(places)
    assert (row["action"], row["subject"], row["environment"]) == ("import.refused", sent, "qa")
    assert row["after"]["problem"]["status"] == 404


def test_stages_and_files(filled: FlaskClient) -> None:
    before = len(trail(filled))
    for _ in range(2):
        filled.put(STAGE, json={"version": 2, "comment": "better"}, headers={"X-Request-Id": "r"})
    filled.get(STAGE)
    files = filled.get(f"{STAGE}/files").get_json()
    filled.get(f"{STAGE}/archive")
    changed, applied, handed = trail(filled)[before:]
    old = filled.get("/v1/models/orders/versions/1").get_json()["digest"]
    assert told(changed) == {
        "action": "stage.changed",
        "environment": "prod",
        "model": "orders",
        "subject": "Production",
        "before": {"version": 1, "digest": old, "revision": 1},
        "after": {
            "version": 2,
            "digest": files["digest"],
            "revision": 2,
            "comment": "better",
            "kind": "promotion",
            "promotion": applied["after"]["promotion"],
            "restores": None,
            "over_freeze": False,
        },
    }
    assert (applied["action"], applied["subject"], applied["after"]["revision"]) == (
        "promotion.applied",
        "Production",
        2,
    )
    assert changed["request_id"] == applied["request_id"] == "r"
    assert told(handed) == {
        "action": "files.handed_out",
        "environment": "prod",
        "model": "orders",
        "subject": "Production",
        "after": {"version": 2, "digest": files["digest"], "files": 1, "expires_in": 900},
    }


def test_what_is_refused_leaves_no_row(filled: FlaskClient, caller: Callable[[str], Headers]) -> None:
    reader = caller("read:qa")
    before = trail(filled)
    assert filled.put(STAGE, json={"version": 9}).status_code == 404
    assert filled.put(STAGE, json={"version": 2}, headers=reader).status_code == 403
    assert filled.get(f"{STAGE}/files", headers=reader).status_code == 403
    assert filled.put("/v1/environments/prod", json={"stages": ["live"]}).status_code == 409
    assert filled.delete("/v1/workspaces/dev").status_code == 409
    assert trail(filled) == before


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_reads(filled: FlaskClient, settings: Settings, parts: Parts, share: float) -> None:
    client = create_app(settings, replace(parts, reads=Reads(share))).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = filled.environ_base["HTTP_AUTHORIZATION"]
    before = len(trail(filled))
    tag = client.get(STAGE).headers["ETag"]
    assert client.get(STAGE, headers={"If-None-Match": tag}).status_code == 304
    client.get(f"{STAGE}/archive")
    rows = trail(filled)[before:]
    assert [row["action"] for row in rows] == (["stage.read", "stage.read", "archive.read"] if share else [])
    assert all((row["environment"], row["model"], row["after"]["version"]) == ("prod", "orders", 1) for row in rows)


def test_request_ids(client: FlaskClient) -> None:
    sent = client.get("/v1/tokens", headers={"X-Request-Id": "a.b:c-1"})
    assert sent.headers["X-Request-Id"] == "a.b:c-1"
    for text in ("", "a b", "ä", "x" * 65, "<script>"):
        answered = client.get("/nowhere", headers={"X-Request-Id": text}).headers["X-Request-Id"]
        assert str(uuid.UUID(answered)) == answered
    assert client.get("/healthz").headers["X-Request-Id"]
    client.put("/v1/environments/prod", json={}, headers={"X-Request-Id": "x" * 65})
    assert uuid.UUID(last(client)["request_id"])


def test_pages(client: FlaskClient) -> None:
    for number in range(5):
        client.put(f"/v1/environments/e{number}", json={})
    everything = client.get("/v1/audit").get_json()
    assert everything["next"] is None
    assert everything["head"] == {"seq": 6, "hash": everything["rows"][0]["hash"]}
    assert everything["rows"][-1]["previous"] == GENESIS
    pages, query = [], ""
    while True:
        page = client.get(f"/v1/audit?limit=2{query}").get_json()
        pages.append([row["seq"] for row in page["rows"]])
        if page["next"] is None:
            break
        query = f"&before={page['next']}"
    assert pages == [[6, 5], [4, 3], [2, 1]]


def test_filters(filled: FlaskClient) -> None:
    assert [row["action"] for row in trail(filled, "&environment=prod&action=stage.")] == ["stage.changed"]
    assert {row["action"] for row in trail(filled, "&model=orders")} == {
        "version.registered",
        "model.created",
        "stage.changed",
        "promotion.applied",
    }
    assert {row["workspace"] for row in trail(filled, "&workspace=other")} == {"other"}
    rows = trail(filled)
    middle = rows[4]["at"]
    assert trail(filled, f"&from={middle}") == [row for row in rows if row["at"] >= middle]
    assert trail(filled, f"&to={middle}") == [row for row in rows if row["at"] < middle]
    assert trail(filled, "&to=2000-01-01T00:00:00%2B02:00") == []
    far = filled.get("/v1/audit?format=jsonl&from=2000-01-01T00:00:00-23:59")  # an offset that Postgres does not take
    assert [json.loads(line)["seq"] for line in far.get_data().splitlines()] == [row["seq"] for row in rows]


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "to=1700000000",
        "format=jsonl&from=0001-01-01T00:00:00%2B01:00",
        "limit=0",
        "limit=1001",
        "before=0",
        "actr=x",
    ],
)
def test_questions_that_are_refused(client: FlaskClient, query: str) -> None:
    problem(client.get(f"/v1/audit?{query}"), 422, "invalid-input")


def test_an_export(filled: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.usecases.read_audit.PAGE", 3)
    jsonl, ndjson = "application/jsonl", "application/x-ndjson"
    for query, accept, kind in (("?format=jsonl", "*/*", jsonl), ("", jsonl, jsonl), ("", ndjson, ndjson)):
        got = filled.get(f"/v1/audit{query}", headers={"Accept": accept})
        assert (got.status_code, got.mimetype) == (200, kind)
        lines = got.get_data().splitlines(keepends=True)
        seq, hash_ = got.headers["Audit-Head"].split()
        assert verify(parse_rows(lines)) == Verified(int(seq), hash_)
        assert [json.loads(line)["seq"] for line in lines] == [row["seq"] for row in trail(filled)]
    for query, accept in (("?format=json", jsonl), ("", "*/*"), ("", "text/html")):
        got = filled.get(f"/v1/audit{query}", headers={"Accept": accept})
        assert got.mimetype == "application/json"
        assert len(got.get_json()["rows"]) == int(seq)


def test_an_export_of_some(filled: FlaskClient) -> None:
    lines = filled.get("/v1/audit?format=jsonl&action=version.&limit=1").get_data().splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["1", "2"]


def test_who_may_read_it(client: FlaskClient, token: Callable[..., str]) -> None:
    for scopes, status in ((["audit"], 200), (["admin"], 200), (["import:*", "read:*", "promote:*"], 403)):
        assert client.get("/v1/audit", headers=bearer(token(*scopes))).status_code == status, scopes
    auditor = bearer(token("audit"))
    assert client.get("/v1/tokens", headers=auditor).status_code == 403
    assert client.put("/v1/environments/prod", json={}, headers=auditor).status_code == 403
    assert client.get("/v1/environments", headers=auditor).get_json() == {"environments": []}
