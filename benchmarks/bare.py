"""The peer of resolving: a Flask route that answers with the same bytes, and with an ETag, under the same gunicorn."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response

BODY = Path(os.environ.get("BENCH_BODY", os.devnull)).read_bytes()
app = Flask(__name__)
app.stop = lambda: None  # type: ignore[attr-defined] # what our gunicorn's settings call


@app.get("/v1/environments/<environment>/models/<model>/stages/<stage>")
def get_stage(environment: str, model: str, stage: str) -> Response:
    return Response(BODY, mimetype="application/json", headers={"ETag": '"bare"'})
