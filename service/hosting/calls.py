"""Calls that change something in the hosted MLflow registry, as they are recorded.

MLflow writes in a transaction of its own, so a call is recorded before MLflow sees it: what is not recorded is not
done. Whether MLflow then refused it, the record does not say.
"""

from __future__ import annotations

import io
import json
from typing import Any

from flask import Request

from service.domain.audit import Change
from service.domain.identity import Principal
from service.hosting.table import Route

ENTITIES = ("run_id", "run_uuid", "experiment_id", "model_id", "name", "version", "alias", "key")
MODELS = ("/mlflow/registered-models/", "/mlflow/model-versions/")
MAX_BODY = 2 * 1024 * 1024
MAX_NAME = 500


def called(by: Principal, request: Request, route: Route) -> Change:
    """Method, route, and the names by which the call tells what it changes; never values."""
    told = {**_body(request), **request.args, **route.arguments}
    entity = {key: str(told[key])[:MAX_NAME] for key in ENTITIES if isinstance(told.get(key), str | int)}
    model = entity.get("name", "") if any(part in route.path for part in MODELS) else ""
    return _change(by, request.method, route.path, model, next(iter(entity.values()), ""), entity)


def stored(by: Principal, method: str, path: str) -> Change:
    """An artifact that is written or deleted."""
    return _change(by, method, "/api/2.0/mlflow-artifacts/artifacts/<path>", "", path, {})


def _change(by: Principal, method: str, route: str, model: str, subject: str, entity: dict[str, str]) -> Change:
    return Change("mlflow.called", by, model=model, subject=subject, after={"method": method, "route": route, **entity})


def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a body of a known, moderate length, which MLflow can then read as well."""
    if not 0 < (request.content_length or 0) <= MAX_BODY:
        return {}
    data = request.get_data()
    request.environ["wsgi.input"] = io.BytesIO(data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
