"""Files of registered versions by the artifact proxy: what is handed out is what was registered."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import Client

from service.domain.errors import Damaged
from service.domain.layout import version_prefix
from service.wiring import Parts
from tests.hosting.registering import MLMODEL, Hosted, digest_of

PROXY = "/api/2.0/mlflow-artifacts"
WEIGHTS = bytes(range(256)) * 4 * 1024 * 3
"""3 MiB: more than one block."""


@pytest.fixture
def registry(hosted: Callable[..., Client]) -> Hosted:
    return Hosted(hosted("track"))


@pytest.fixture
def digest(registry: Hosted) -> str:
    run = registry.run("one", MLmodel=MLMODEL, weights=WEIGHTS, empty=b"")
    return digest_of(registry.register("orders", run))


@pytest.fixture
def put(parts: Parts, digest: str) -> Callable[[str, bytes], None]:
    """Writes into the bucket past the registry."""

    def put(name: str, data: bytes) -> None:
        parts.objects.put(version_prefix(digest) + name, io.BytesIO(data), len(data))

    return put


def test_whole_by_range_and_by_url(registry: Hosted, digest: str) -> None:
    folder = f"registered/{digest[7:]}"
    whole = registry.read(f"{folder}/weights")
    assert (whole.status_code, whole.data, whole.headers["X-Model-Digest"]) == (200, WEIGHTS, digest)
    assert whole.headers["ETag"] == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    assert (registry.read(f"{folder}/empty").status_code, registry.read(f"{folder}/empty").data) == (200, b"")
    url = f"{PROXY}/artifacts/{folder}/weights"
    part = registry.client.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.data) == (206, WEIGHTS[5:10])
    same = registry.client.get(url, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    assert registry.client.head(url).headers["Content-Length"] == str(len(WEIGHTS))
    direct = registry.client.get(f"{PROXY}/presigned/{folder}/weights").json
    assert direct["file_size"] == len(WEIGHTS)
    assert requests.get(direct["url"], timeout=30).content == WEIGHTS
    for path in (f"{folder}/absent", f"registered/{'0' * 64}/weights"):
        for way in ("artifacts", "presigned"):
            missing = registry.client.get(f"{PROXY}/{way}/{path}")
            assert (missing.status_code, missing.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), path


def test_what_is_damaged_never_ends(
    registry: Hosted, digest: str, put: Callable[[str, bytes], None], parts: Parts, client: FlaskClient
) -> None:
    put("weights", WEIGHTS[:-1] + b"\0")
    path = f"registered/{digest[7:]}/weights"
    got: list[bytes] = []
    answer = registry.client.get(f"{PROXY}/artifacts/{path}", buffered=False)
    with pytest.raises(Damaged, match="not the ones that were registered"):
        got.extend(answer.response)
    assert len(b"".join(got)) < len(WEIGHTS)
    for way in ("artifacts", "presigned"):
        marked = registry.client.get(f"{PROXY}/{way}/{path}")
        assert (marked.status_code, marked.json["error_code"]) == (409, "IO_ERROR")
        assert "scrub" in marked.json["message"]
    with parts.store.transaction() as tx:
        assert [damage.path for damage in tx.damages.of(digest)] == ["weights"]
        told = [event for event in tx.events.waiting(100) if event.type == "bytes.damaged"]
    (event,) = told
    assert (event.data["subject"], event.data["after"]["path"]) == (digest, "weights")
    assert event.data["after"]["versions"] == [{"model": "orders", "version": 1}]


def test_a_small_one_is_refused_at_once(
    registry: Hosted, digest: str, put: Callable[[str, bytes], None], parts: Parts
) -> None:
    put("MLmodel", MLMODEL.replace(b"none", b"evil"))
    refused = registry.read(f"registered/{digest[7:]}/MLmodel")
    assert (refused.status_code, refused.json["error_code"]) == (409, "IO_ERROR")
    assert b"evil" not in refused.data


def test_a_url_is_recorded_with_the_place_of_the_bytes(
    hosted: Callable[..., Client], registry: Hosted, digest: str, client: FlaskClient
) -> None:
    for environment in ("prod", "qa"):
        client.put(f"/v1/environments/{environment}", json={})
    stages = "/v1/environments/prod/models/orders/stages"
    reader = hosted("read:prod", "browse")

    def recorded(place: str = "/environments/prod") -> list[dict[str, object]]:
        asked = reader.get(f"{place}{PROXY}/presigned/registered/{digest[7:]}/MLmodel")
        assert asked.status_code == 200, asked.text
        return list(client.get("/v1/audit?action=files.handed_out").json["rows"])

    def told(row: dict[str, Any]) -> tuple[str, str, str, int]:
        assert row["after"]["digest"] == digest
        return row["environment"], row["model"], row["subject"], row["after"]["version"]

    assert told(recorded()[0]) == ("prod", "", digest, 0)
    assert client.put(f"{stages}/Production", json={"version": 1}).status_code == 200
    assert told(recorded()[0]) == ("prod", "orders", "Production", 1)
    assert len(client.get("/v1/audit?environment=prod&action=files.handed_out").json["rows"]) == 2
    assert told(recorded("/environments/qa")[0]) == ("qa", "", digest, 0)
    assert told(recorded("")[0]) == ("", "", digest, 0)
    assert client.put(f"{stages}/Staging", json={"version": 1}).status_code == 200
    assert told(recorded()[0]) == ("prod", "orders", digest, 1)
    run = registry.get("model-versions/get", name="orders", version="1").json["model_version"]["run_id"]
    registry.register("copies", run, "models:/orders/1")
    copied = "/v1/environments/prod/models/copies/stages/Production"
    assert client.put(copied, json={"version": 1}).status_code == 200
    assert told(recorded()[0]) == ("prod", "", digest, 0)
