"""The route that gives the puller to whoever has nothing but Python."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from service.api.auth import anyone
from service.api.document import binary
from service.pulling.pyz import pyz

PULLER = Tag(name="puller", description="The program that brings what a stage holds to a serving cluster")
SECONDS = 300


def add_puller(api: APIBlueprint) -> None:
    whole = cache(pyz)

    @api.get(
        "/pull.pyz",
        tags=[PULLER],
        responses={200: binary("application/zip", "The program"), 304: None},
        security=[],
    )
    @anyone()
    def get_puller() -> Response:
        """`model-registry pull` as one file, for Python 3.9 or newer: `python pull.pyz --help`."""
        data = whole()
        digest = sha256(data)
        response = Response(data, mimetype="application/zip")
        response.headers["Cache-Control"] = f"public, max-age={SECONDS}"
        response.headers["Repr-Digest"] = f"sha-256=:{b64encode(digest.digest()).decode()}:"
        response.set_etag(digest.hexdigest())
        response.make_conditional(request)
        return response
