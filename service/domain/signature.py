"""A signature of a version's bytes in the format of OpenSSF Model Signing 1.0, which the `model_signing` tool verifies.

The signed payload is an in-toto statement of every file's SHA-256; its DSSE envelope lies in a Sigstore bundle.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.model import Manifest

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Signature:
    """`bundle` is plain JSON; `key_id` as in SigningKey."""

    digest: str
    key_id: str
    bundle: Mapping[str, Any]
    signed_at: datetime


@dataclass(frozen=True)
class SigningKey:
    """A public key. `id` is the SHA-256 of its PEM in lower-case hex, by which the bundle names it."""

    id: str
    public_key: str
    since: datetime


def statement(manifest: Manifest) -> bytes:
    """What is signed: the files in the manifest's order, and one digest over theirs."""
    root = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in manifest.files)).hexdigest()
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": manifest.digest, "digest": {"sha256": root}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in manifest.files],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def encoded(payload: bytes) -> bytes:
    """The bytes that the signature is of: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def bundle(payload: bytes, key_id: str, signature: bytes) -> dict[str, Any]:
    return {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key_id}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
