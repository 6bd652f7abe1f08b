"""Only what one of the given keys has signed is placed."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from service.domain.model import Manifest as Registered
from service.domain.model import ManifestFile
from service.domain.signature import bundle, encoded, statement
from service.pulling.errors import Damaged, TargetRefused
from service.pulling.manifest import File, Manifest
from service.pulling.verifying import Verifier
from service.signing.key import EcSigner
from service.usecases.sign_versions import sign_missing
from tests.pulling.site import STAGE, Site, contents, whole
from tests.stock_signing import new_key, stock_verify

SIGNER, OTHER = EcSigner(new_key()), EcSigner(new_key())
FILES = {"model.pkl": b"signed", "data/a b/ü.bin": b"1"}
LISTED = Registered.of([ManifestFile("MLmodel", 3, "ab" * 32), ManifestFile("d/ü", 2, "cd" * 32)])
MANIFEST = Manifest(LISTED.digest, tuple(File(file.path, file.size, file.sha256) for file in LISTED.files))


def made(payload: bytes, signer: EcSigner = SIGNER) -> dict[str, Any]:
    return bundle(payload, signer.key_id, signer.sign(encoded(payload)))


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    for name, signer in (("signer", SIGNER), ("other", OTHER)):
        (tmp_path / f"{name}.pub").write_text(signer.public_key)
    return {name: tmp_path / f"{name}.pub" for name in ("signer", "other")}


def test_one_of_the_keys_has_to_have_signed(keys: dict[str, Path]) -> None:
    signed = made(statement(LISTED))
    Verifier([keys["signer"]]).check(MANIFEST, [signed])
    Verifier([keys["other"], keys["signer"]]).check(MANIFEST, [signed])
    with pytest.raises(Damaged, match="No key of --verify-key"):
        Verifier([keys["other"]]).check(MANIFEST, [signed])


@pytest.mark.parametrize("nothing", [None, [], {}, "x"])
def test_what_nobody_has_signed(nothing: object, keys: dict[str, Path]) -> None:
    with pytest.raises(Damaged, match="Nobody has signed"):
        Verifier([keys["signer"]]).check(MANIFEST, nothing)


def test_after_a_rotation_either_key_will_do(keys: dict[str, Path]) -> None:
    both = [made(statement(LISTED), OTHER), made(statement(LISTED), SIGNER)]
    for key in keys.values():
        Verifier([key]).check(MANIFEST, both)
    with pytest.raises(Damaged):
        Verifier([keys["signer"]]).check(MANIFEST, [both[0], *FORGED])


def _other_statement(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    document = json.loads(statement(LISTED))
    change(document)
    return made(json.dumps(document).encode())


def _changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    signed = copy.deepcopy(made(statement(LISTED)))
    change(signed["dsseEnvelope"])
    return signed


FORGED: list[Any] = [
    {},
    {"dsseEnvelope": None},
    [],
    "x",
    _changed(lambda envelope: envelope.update(payload="!")),
    _changed(lambda envelope: envelope.update(signatures=[])),
    _changed(lambda envelope: envelope.update(payloadType="text/plain")),
    _changed(lambda envelope: envelope.update(payload=base64.b64encode(statement(LISTED) + b" ").decode())),
    _changed(lambda envelope: envelope["signatures"][0].update(sig=base64.b64encode(b"x" * 70).decode())),
    made(b"not JSON"),
    made(b"[]"),
    _other_statement(lambda document: document.update(predicateType="other")),
    _other_statement(lambda document: document["predicate"]["resources"].pop()),
    _other_statement(lambda document: document["predicate"]["resources"][0].update(digest="00" * 32)),
    _other_statement(lambda document: document["predicate"]["resources"][0].update(algorithm="blake2b")),
    _other_statement(lambda document: document["predicate"]["serialization"].update(method="shards")),
    _other_statement(lambda document: document["predicate"].update(resources=1)),
]


@pytest.mark.parametrize("forged", FORGED)
def test_what_is_no_signature_of_these_files(forged: object, keys: dict[str, Path]) -> None:
    with pytest.raises(Damaged):
        Verifier([keys["signer"]]).check(MANIFEST, [forged])


def test_without_openssl(keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TargetRefused, match="openssl"):
        Verifier([keys["signer"]]).check(MANIFEST, [made(statement(LISTED))])


def test_pull(site: Site, to: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    site.hold(site.register(FILES))
    options = ("--verify-key", str(keys["signer"]))
    unsigned = site.pull(to, *options)
    assert (unsigned.code, to.exists()) == (5, False)
    assert "Nobody has signed" in unsigned.err
    assert list(sign_missing(site.parts.store, SIGNER, site.parts.clock))
    refused = site.pull(to, "--verify-key", str(keys["other"]))
    assert (refused.code, to.exists()) == (5, False)
    placed = site.pull(to, *options)
    assert (placed.code, contents(to)) == (0, whole(FILES)), placed.err
    assert site.pull(to, "--verify-key", str(keys["other"])).code == 5  # what is here already is looked at, too
    signature = tmp_path / "model.sig"
    headers = {"Authorization": f"Bearer {site.token}"}
    signature.write_bytes(requests.get(f"{site.url}{STAGE}/signature", headers=headers, timeout=30).content)
    code, told = stock_verify(to.resolve(), signature, keys["signer"])
    assert code == 0, told
