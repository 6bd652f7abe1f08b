"""Signatures of what is pulled, verified with public keys that came another way than from the registry."""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.pulling.errors import Damaged, TargetRefused
from service.pulling.manifest import Manifest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"


class Verifier:
    """One of the keys has to have signed; each is a PEM file with a public key of the curve P-256."""

    def __init__(self, keys: Sequence[Path]) -> None:
        self._keys = keys

    def check(self, manifest: Manifest, bundles: object) -> None:
        """Raises Damaged unless one of the Sigstore bundles is a signature of just these files by one of the keys."""
        if not isinstance(bundles, list) or not bundles:
            raise Damaged(f"Nobody has signed {manifest.digest}; ask the registry's operator to.")
        refusals = []
        for bundle in bundles:
            try:
                self._check(manifest, bundle)
            except Damaged as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]

    def _check(self, manifest: Manifest, bundle: Any) -> None:
        payload, signature = _opened(bundle)
        signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        if not any(_verifies(key, signed, signature) for key in self._keys):
            raise Damaged(f"No key of --verify-key has made the signature of {manifest.digest}.")
        if _files_of(payload) != sorted((file.path, file.sha256) for file in manifest.files):
            raise Damaged(f"The signature is not of the files of {manifest.digest}.")


def _opened(bundle: Any) -> tuple[bytes, bytes]:
    """Payload and signature."""
    try:
        envelope = bundle["dsseEnvelope"]
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise Damaged("The signature is of another type than this puller knows.")
        payload = base64.b64decode(envelope["payload"], validate=True)
        return payload, base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error):
        raise Damaged("The signature cannot be read.") from None


def _files_of(payload: bytes) -> list[tuple[str, str]]:
    """Path and SHA-256 of each file that was signed."""
    try:
        statement = json.loads(payload)
        predicate = statement["predicate"]
        if statement["predicateType"] != PREDICATE_TYPE or predicate["serialization"]["method"] != "files":
            raise Damaged("The signature is of another kind than this puller knows.")
        rows = predicate["resources"]
        if any(row["algorithm"] != "sha256" for row in rows):
            raise Damaged("The signature is of other hashes than SHA-256.")
        return sorted((str(row["name"]), str(row["digest"])) for row in rows)
    except (KeyError, TypeError, ValueError):
        raise Damaged("The signed statement cannot be read.") from None


def _verifies(key: Path, data: bytes, signature: bytes) -> bool:
    """By the program openssl: the standard library knows no elliptic curves."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", file.name]
        try:
            done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            raise TargetRefused("--verify-key needs the program openssl.") from None
    return done.returncode == 0 and b"Verified OK" in done.stdout
