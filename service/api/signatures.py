"""Routes of signatures: what proves to who has the public key that bytes are the registered ones."""

from __future__ import annotations

import json
from datetime import datetime

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.api.field_types import Storable
from service.api.paths import STAGE
from service.domain.environment import Place
from service.domain.signature import BUNDLE_TYPE, Signature
from service.usecases.read_models import get_version
from service.wiring import Parts

SIGNATURES = Tag(name="signatures", description="Signatures of versions' bytes, as OpenSSF Model Signing defines them")
BUNDLE = {"description": "A Sigstore bundle", "content": {BUNDLE_TYPE: {"schema": {"type": "object"}}}}


class SignatureQuery(p.Query):
    key: Storable = Field(default="", max_length=64, description="id of the key; default: of the last signature")


class SigningKeyOut(p.Out):
    """`id` is what a bundle names as its key's hint; `since` is its first signature."""

    id: str
    public_key: str
    since: datetime


class SigningKeysOut(p.Out):
    keys: list[SigningKeyOut]


def add_signatures(api: APIBlueprint, parts: Parts) -> None:
    @api.get(f"{STAGE}/signature", tags=[SIGNATURES], responses={200: BUNDLE})
    @scoped("read", "promote", parameter="environment")
    def get_stage_signature(path: p.StagePath, query: SignatureQuery) -> Response:
        """The signature of what the stage hands out, as a file for `model_signing verify key`."""
        with parts.store.transaction() as tx:
            held, _ = tx.stages.current(*Place(path.environment, path.model, path.stage))
            return _bundle(tx.signatures.of(held.digest, query.key))

    @api.get("/models/<model>/versions/<version>/signature", tags=[SIGNATURES], responses={200: BUNDLE})
    @authenticated()
    def get_version_signature(path: p.VersionPath, query: SignatureQuery) -> Response:
        """The signature of the version's bytes."""
        version = get_version(parts.store, principal(), path.model, path.version)
        with parts.store.transaction() as tx:
            return _bundle(tx.signatures.of(version.digest, query.key))

    @api.get("/signing-keys", tags=[SIGNATURES], responses={200: SigningKeysOut})
    @authenticated()
    def list_signing_keys() -> Response:
        """The public keys of all signatures, the newest first; compare one with what you were told another way."""
        with parts.store.transaction() as tx:
            keys = tx.signatures.keys()
        return answer(SigningKeysOut(keys=[SigningKeyOut.model_validate(key) for key in keys]))


def _bundle(signature: Signature) -> Response:
    response = Response(json.dumps(signature.bundle), mimetype=BUNDLE_TYPE)
    response.headers["X-Model-Digest"] = signature.digest
    response.headers["X-Signing-Key"] = signature.key_id
    return response
