"""Which of MLflow's routes are hosted, in one table; whatever is not in it answers 404.

`api/2.0/mlflow` also stands for the UI's twin `ajax-api/2.0/mlflow`. Left out on purpose: the routes that make,
move or remove versions (versions are registered and promoted through `/v1`, where their bytes are frozen), and
MLflow's gateway, jobs, webhooks, prompts, scorers, reviews and workspaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

READS = """
GET /api/2.0/mlflow/artifacts/list
GET /api/2.0/mlflow/experiments/get
GET /api/2.0/mlflow/experiments/get-by-name
GET /api/2.0/mlflow/experiments/search
POST /api/2.0/mlflow/experiments/search
GET /api/2.0/mlflow/logged-models/<model_id>
GET /api/2.0/mlflow/logged-models/<model_id>/artifacts/directories
POST /api/2.0/mlflow/logged-models/search
GET /api/2.0/mlflow/metrics/get-history
GET /api/2.0/mlflow/metrics/get-history-bulk
GET /api/2.0/mlflow/metrics/get-history-bulk-interval
GET /api/2.0/mlflow/model-versions/get
GET /api/2.0/mlflow/model-versions/get-download-uri
GET /api/2.0/mlflow/model-versions/search
GET /api/2.0/mlflow/registered-models/alias
GET /api/2.0/mlflow/registered-models/get
GET /api/2.0/mlflow/registered-models/get-latest-versions
POST /api/2.0/mlflow/registered-models/get-latest-versions
GET /api/2.0/mlflow/registered-models/search
GET /api/2.0/mlflow/runs/get
POST /api/2.0/mlflow/runs/search
POST /api/2.0/mlflow/experiments/search-datasets
GET /api/3.0/mlflow/traces/<trace_id>
GET /api/3.0/mlflow/traces/get
GET /api/3.0/mlflow/traces/batchGet
POST /api/3.0/mlflow/traces/batchGetInfos
POST /api/3.0/mlflow/traces/search
GET /api/3.0/mlflow/datasets/<dataset_id>
GET /api/3.0/mlflow/datasets/<dataset_id>/experiment-ids
GET /api/3.0/mlflow/datasets/<dataset_id>/records
POST /api/3.0/mlflow/datasets/search
GET /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
GET /api/3.0/mlflow/server-info
GET /ajax-api/2.0/mlflow/gateway-proxy
GET /
GET /static-files/<path:path>
GET /get-artifact
GET /model-versions/get-artifact
GET /graphql
POST /graphql
"""

WRITES = """
POST /api/2.0/mlflow/experiments/create
POST /api/2.0/mlflow/experiments/delete
POST /api/2.0/mlflow/experiments/restore
POST /api/2.0/mlflow/experiments/set-experiment-tag
POST /api/2.0/mlflow/experiments/delete-experiment-tag
POST /api/2.0/mlflow/experiments/update
POST /api/2.0/mlflow/logged-models
PATCH /api/2.0/mlflow/logged-models/<model_id>
POST /api/2.0/mlflow/logged-models/<model_id>/params
PATCH /api/2.0/mlflow/logged-models/<model_id>/tags
DELETE /api/2.0/mlflow/logged-models/<model_id>/tags/<tag_key>
POST /api/2.0/mlflow/model-versions/set-tag
DELETE /api/2.0/mlflow/model-versions/delete-tag
PATCH /api/2.0/mlflow/model-versions/update
POST /api/2.0/mlflow/registered-models/alias
DELETE /api/2.0/mlflow/registered-models/alias
POST /api/2.0/mlflow/registered-models/set-tag
DELETE /api/2.0/mlflow/registered-models/delete-tag
PATCH /api/2.0/mlflow/registered-models/update
POST /api/2.0/mlflow/runs/create
POST /api/2.0/mlflow/runs/delete
POST /api/2.0/mlflow/runs/delete-tag
POST /api/2.0/mlflow/runs/log-batch
POST /api/2.0/mlflow/runs/log-inputs
POST /api/2.0/mlflow/runs/log-metric
POST /api/2.0/mlflow/runs/log-model
POST /api/2.0/mlflow/runs/log-parameter
POST /api/2.0/mlflow/runs/outputs
POST /api/2.0/mlflow/runs/restore
POST /api/2.0/mlflow/runs/set-tag
POST /api/2.0/mlflow/runs/update
"""


def _rules(text: str, endpoint: str) -> list[Rule]:
    rules = []
    for line in text.split("\n"):
        method, _, path = line.partition(" ")
        if path:
            paths = [path, "/ajax-" + path.removeprefix("/")] if path.startswith("/api/") else [path]
            rules += [Rule(place, methods=[method], endpoint=endpoint) for place in paths]
    return rules


_HOSTED = Map([*_rules(READS, "read"), *_rules(WRITES, "write")], redirect_defaults=False, merge_slashes=False).bind("")


@dataclass(frozen=True)
class Route:
    """`path` is the pattern in the table, `arguments` what stands for its parameters."""

    path: str
    arguments: Mapping[str, str]
    writes: bool


def hosted(method: str, path: str) -> Route | None:
    """The route by which MLflow may see the request; None when it may not."""
    try:
        rule, arguments = _HOSTED.match(path, method, return_rule=True)
    except HTTPException:
        return None
    return Route(rule.rule, arguments, rule.endpoint == "write")
