"""`POST runs/log-model`, by which clients before 3 tell a run of each model that they logged in it.

MLflow's own handler first reads the model's signature, for which it needs NumPy and pandas, and then forgets it. What
is kept is the same: one more entry in the run's tag `mlflow.log-model.history`.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response, jsonify, request
from mlflow.models import Model
from mlflow.server import handlers

from service.domain.errors import InvalidInput

_TEXTS = ("artifact_path", "run_id", "utc_time_created")


def install(mlflow: Flask) -> None:
    """In place of MLflow's own handler, behind the same addresses."""
    mlflow.view_functions["_log_model"] = handlers.catch_mlflow_exception(_log_model)


def _log_model() -> Response:
    body: Any = request.get_json(force=True)
    run_id = body.get("run_id")
    if not isinstance(run_id, str) or not run_id:
        raise InvalidInput("The parameter 'run_id' is needed.", field="run_id")
    told = _model(body.get("model_json"))
    model = Model(**{name: told[name] for name in _TEXTS}, flavors=told["flavors"], model_uuid=told.get("model_uuid"))
    handlers._get_tracking_store().record_logged_model(run_id, model)
    return jsonify({})


def _model(text: object) -> dict[str, Any]:
    """The MLmodel that the client tells. Raises InvalidInput for one of another shape."""
    try:
        told = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise InvalidInput("model_json must be the JSON object of an MLmodel.", field="model_json")
    flavors = told.get("flavors")
    if any(not isinstance(told.get(name), str) for name in _TEXTS) or not isinstance(flavors, dict):
        raise InvalidInput(f"model_json needs {', '.join(_TEXTS)} and flavors.", field="model_json")
    if not isinstance(told.get("model_uuid"), str | None):
        raise InvalidInput("model_uuid must be a text.", field="model_json")
    return told
