"""Signatures, held to the tool that OpenSSF gives to verifiers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.domain.model import Manifest, ManifestFile
from service.domain.signature import bundle, encoded, statement
from service.settings import Settings
from service.signing.key import EcSigner
from service.usecases.run_import import Importer
from service.usecases.sign_versions import sign_missing
from service.wiring import Parts
from tests.api.conftest import ORDERS
from tests.api.problems import problem
from tests.small_exports import RUN
from tests.stock_signing import new_key, stock_verify

STAGE = "/v1/environments/prod/models/orders/stages/Production"
OLD, NEW = EcSigner(new_key()), EcSigner(new_key())


@pytest.fixture
def signing(
    settings: Settings, parts: Parts, importer: Importer, places: FlaskClient
) -> Callable[[EcSigner], FlaskClient]:
    """The API of a service that signs with the key, on the same stores."""

    def make(signer: EcSigner) -> FlaskClient:
        client = create_app(settings, replace(parts, signer=signer)).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = places.environ_base["HTTP_AUTHORIZATION"]
        sent = client.post("/v1/workspaces/dev/imports", data=ORDERS).get_json()
        replace(importer, signer=signer).run(sent["id"])
        client.put(STAGE, json={"version": 1})
        return client

    return make


def payload_of(document: dict[str, object]) -> dict[str, object]:
    envelope = document["dsseEnvelope"]
    assert isinstance(envelope, dict)
    return dict(json.loads(base64.b64decode(envelope["payload"])))


def test_registrations_are_signed(signing: Callable[[EcSigner], FlaskClient]) -> None:
    client = signing(OLD)
    handed = client.get(f"{STAGE}/files").get_json()
    signed = client.get(f"{STAGE}/signature")
    assert signed.content_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert (signed.headers["X-Model-Digest"], signed.headers["X-Signing-Key"]) == (handed["digest"], OLD.key_id)
    assert handed["signatures"] == [signed.get_json(force=True)]
    payload = payload_of(handed["signatures"][0])
    assert payload["subject"][0]["name"] == handed["digest"]  # type: ignore[index]
    named = {row["name"]: row["digest"] for row in payload["predicate"]["resources"]}  # type: ignore[index]
    assert named == {file["path"]: file["sha256"] for file in handed["files"]}
    made = client.post("/v1/models/other/versions", json={"run_id": RUN, "artifact_path": "model"}).get_json()
    of_version = client.get(f"/v1/models/other/versions/{made['version']}/signature")
    assert (of_version.status_code, of_version.headers["X-Model-Digest"]) == (200, made["digest"])


def test_without_a_key_nothing_is_signed(filled: FlaskClient) -> None:
    assert filled.get(f"{STAGE}/files").get_json()["signatures"] == []
    problem(filled.get(f"{STAGE}/signature"), 404, "signature-not-found")
    assert filled.get("/v1/signing-keys").get_json() == {"keys": []}


def test_what_is_missing_is_signed_later(filled: FlaskClient, parts: Parts) -> None:
    first = set(sign_missing(parts.store, OLD, parts.clock))
    assert first == {filled.get(f"/v1/models/orders/versions/{n}").get_json()["digest"] for n in (1, 2)}
    assert list(sign_missing(parts.store, NEW, parts.clock)) == []
    assert filled.get(f"{STAGE}/signature").headers["X-Signing-Key"] == OLD.key_id


def test_a_rotated_key_leaves_old_signatures(signing: Callable[[EcSigner], FlaskClient]) -> None:
    signing(OLD)
    client = signing(NEW)
    client.post("/v1/models/orders/versions", json={"run_id": RUN, "artifact_path": "model"})
    assert client.get(f"{STAGE}/signature").headers["X-Signing-Key"] == NEW.key_id
    assert client.get(f"{STAGE}/signature?key={OLD.key_id}").headers["X-Signing-Key"] == OLD.key_id
    problem(client.get(f"{STAGE}/signature?key=absent"), 404, "signature-not-found", name="absent")
    keys = client.get("/v1/signing-keys").get_json()["keys"]
    assert [(key["id"], key["public_key"]) for key in keys] == [
        (NEW.key_id, NEW.public_key),
        (OLD.key_id, OLD.public_key),
    ]
    assert datetime.fromisoformat(keys[0]["since"]) <= datetime.now(UTC)


FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": b"42", "a-b/x": b"1", "a/x": b"", "Größe ☃.txt": "é".encode()}


def test_the_stock_tool_verifies_it(tmp_path: Path) -> None:
    model = tmp_path / "model"
    for path, data in FILES.items():
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_bytes(data)
    rows = [ManifestFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in FILES.items()]
    payload = statement(Manifest.of(rows))
    signature = tmp_path / "model.sig"
    signature.write_text(json.dumps(bundle(payload, OLD.key_id, OLD.sign(encoded(payload)))))

    def verify(signer: EcSigner) -> tuple[int, str]:
        key = tmp_path / "key.pub"
        key.write_text(signer.public_key)
        return stock_verify(model, signature, key)

    code, told = verify(OLD)
    assert code == 0, told
    assert verify(NEW)[0] != 0
    (model / "data/weights.bin").write_bytes(b"43")
    code, told = verify(OLD)
    assert code != 0
    assert "data/weights.bin" in told
    (model / "data/weights.bin").write_bytes(b"42")
    (model / "more").write_bytes(b"")
    assert verify(OLD)[0] != 0
