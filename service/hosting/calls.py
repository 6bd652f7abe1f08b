"""Calls that change something in the hosted MLflow registry, as they are recorded.

MLflow writes in a transaction of its own, so a call is recorded before MLflow sees it: what is not recorded is not
done. Whether MLflow then refused it, the record does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request

from service.domain.audit import Change
from service.domain.identity import Principal
from service.hosting.intake import in_snake_case
from service.hosting.table import Route

ENTITIES = ("run_id", "run_uuid", "experiment_id", "model_id", "name", "version", "alias", "key")
MODELS = ("/mlflow/registered-models/", "/mlflow/model-versions/")
MAX_NAME = 500


def called(by: Principal, request: Request, route: Route, document: Mapping[str, Any]) -> Change:
    """Method, route, and the names by which the call and its body's `document` tell what it changes; never values.

    Of a call that changes something MLflow reads no query.
    """
    told = {**{in_snake_case(name): value for name, value in document.items()}, **route.arguments}
    names = dict.fromkeys((*route.arguments, *ENTITIES))  # what the path names is what the call is about
    entity = {key: str(told[key])[:MAX_NAME] for key in names if isinstance(told.get(key), str | int)}
    model = entity.get("name", "") if any(part in route.path for part in MODELS) else ""
    return _change(by, request.method, route.path, model, next(iter(entity.values()), ""), entity)


def stored(by: Principal, method: str, path: str) -> Change:
    """An artifact that is written or deleted."""
    return _change(by, method, "/api/2.0/mlflow-artifacts/artifacts/<path>", "", path, {})


def _change(by: Principal, method: str, route: str, model: str, subject: str, entity: dict[str, str]) -> Change:
    return Change("mlflow.called", by, model=model, subject=subject, after={"method": method, "route": route, **entity})
