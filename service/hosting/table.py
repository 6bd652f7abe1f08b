"""The hosted registry's surface, written down once: each route with the permission it needs, and what is refused why.

`/api/` in a path also stands for the UI's twin `/ajax-api/`; a path that begins with `/ajax-api/` has no other. What is
in no group answers 404, as does everything in REFUSED, which is there so that a new route of MLflow is noticed.
docs/mlflow-permissions.md is this table for readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule


class Permission(Enum):
    """What a route needs; `service.hosting.decisions` says which scopes give it."""

    STAGES = "stages"
    PROMOTE = "promote"
    BROWSE = "browse"
    TRACK = "track"
    ADMIN = "admin"


TABLE: Mapping[Permission, str] = {
    # What a serving process asks for. A token that may only read an environment gets what is in its stages.
    Permission.STAGES: """
GET /api/2.0/mlflow/model-versions/get
GET /api/2.0/mlflow/model-versions/get-download-uri
GET /api/2.0/mlflow/model-versions/search
GET /api/2.0/mlflow/registered-models/alias
GET /api/2.0/mlflow/registered-models/get
GET /api/2.0/mlflow/registered-models/get-latest-versions
POST /api/2.0/mlflow/registered-models/get-latest-versions
GET /api/2.0/mlflow/registered-models/list
GET /api/2.0/mlflow/registered-models/search
GET /api/2.0/mlflow-artifacts/artifacts
GET /api/2.0/mlflow-artifacts/artifacts/<path:artifact>
GET /api/2.0/mlflow-artifacts/presigned/<path:artifact>
GET /api/3.0/mlflow/server-info
GET /health
GET /version
""",
    Permission.PROMOTE: """
POST /api/2.0/mlflow/model-versions/transition-stage
""",
    Permission.BROWSE: """
GET /
GET /get-artifact
GET /model-versions/get-artifact
GET /static-files/<path:path>
POST /graphql
GET /ajax-api/2.0/mlflow/gateway-proxy
GET /api/2.0/mlflow/artifacts/list
GET /api/2.0/mlflow/experiments/get
GET /api/2.0/mlflow/experiments/get-by-name
GET /api/2.0/mlflow/experiments/list
GET /api/2.0/mlflow/experiments/search
POST /api/2.0/mlflow/experiments/search
POST /ajax-api/2.0/mlflow/experiments/search-datasets
GET /api/2.0/mlflow/logged-models/<model_id>
GET /api/2.0/mlflow/logged-models/<model_id>/artifacts/directories
GET /ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files
POST /api/2.0/mlflow/logged-models/search
GET /api/2.0/mlflow/metrics/get-history
GET /ajax-api/2.0/mlflow/metrics/get-history-bulk
GET /api/2.0/mlflow/metrics/get-history-bulk-interval
GET /api/2.0/mlflow/runs/get
POST /api/2.0/mlflow/runs/search
GET /api/2.0/mlflow/traces
GET /api/2.0/mlflow/traces/<request_id>/info
GET /ajax-api/2.0/mlflow/get-trace-artifact
GET /ajax-api/3.0/mlflow/get-trace-artifact
GET /api/3.0/mlflow/traces/<trace_id>
GET /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
GET /api/3.0/mlflow/traces/batchGet
POST /api/3.0/mlflow/traces/batchGetInfos
POST /api/3.0/mlflow/traces/calculate-filter-correlation
GET /api/3.0/mlflow/traces/get
POST /api/3.0/mlflow/traces/metrics
POST /api/3.0/mlflow/traces/search
GET /api/3.0/mlflow/datasets/<dataset_id>
GET /api/3.0/mlflow/datasets/<dataset_id>/experiment-ids
GET /api/3.0/mlflow/datasets/<dataset_id>/records
GET /api/3.0/mlflow/datasets/search
POST /api/3.0/mlflow/datasets/search
""",
    Permission.TRACK: """
POST /api/2.0/mlflow/experiments/create
POST /api/2.0/mlflow/experiments/delete-experiment-tag
POST /api/2.0/mlflow/experiments/set-experiment-tag
POST /api/2.0/mlflow/experiments/update
POST /api/2.0/mlflow/logged-models
DELETE /api/2.0/mlflow/logged-models/<model_id>
PATCH /api/2.0/mlflow/logged-models/<model_id>
POST /api/2.0/mlflow/logged-models/<model_id>/params
PATCH /api/2.0/mlflow/logged-models/<model_id>/tags
DELETE /api/2.0/mlflow/logged-models/<model_id>/tags/<tag_key>
POST /api/2.0/mlflow/model-versions/create
DELETE /api/2.0/mlflow/model-versions/delete-tag
POST /api/2.0/mlflow/model-versions/set-tag
PATCH /api/2.0/mlflow/model-versions/update
DELETE /api/2.0/mlflow/registered-models/alias
POST /api/2.0/mlflow/registered-models/alias
POST /api/2.0/mlflow/registered-models/create
DELETE /api/2.0/mlflow/registered-models/delete-tag
POST /api/2.0/mlflow/registered-models/set-tag
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
DELETE /api/2.0/mlflow-artifacts/artifacts/<path:artifact>
PUT /api/2.0/mlflow-artifacts/artifacts/<path:artifact>
POST /api/2.0/mlflow-artifacts/mpu/abort/<path:artifact>
POST /api/2.0/mlflow-artifacts/mpu/complete/<path:artifact>
POST /api/2.0/mlflow-artifacts/mpu/create/<path:artifact>
POST /api/2.0/mlflow/traces
PATCH /api/2.0/mlflow/traces/<request_id>
DELETE /api/2.0/mlflow/traces/<request_id>/tags
PATCH /api/2.0/mlflow/traces/<request_id>/tags
POST /api/2.0/mlflow/traces/link-to-run
POST /api/3.0/mlflow/traces
POST /api/3.0/mlflow/traces/<trace_id>/assessments
DELETE /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
PATCH /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
DELETE /api/3.0/mlflow/traces/<trace_id>/tags
PATCH /api/3.0/mlflow/traces/<trace_id>/tags
POST /api/3.0/mlflow/datasets/<dataset_id>/add-experiments
POST /api/3.0/mlflow/datasets/<dataset_id>/records
POST /api/3.0/mlflow/datasets/<dataset_id>/remove-experiments
PATCH /api/3.0/mlflow/datasets/<dataset_id>/tags
DELETE /api/3.0/mlflow/datasets/<dataset_id>/tags/<key>
POST /api/3.0/mlflow/datasets/create
""",
    # What many may depend on, or what cannot be had back.
    Permission.ADMIN: """
POST /api/2.0/mlflow/experiments/delete
POST /api/2.0/mlflow/experiments/restore
DELETE /api/2.0/mlflow/model-versions/delete
DELETE /api/2.0/mlflow/registered-models/delete
POST /api/2.0/mlflow/registered-models/rename
POST /api/2.0/mlflow/traces/delete-traces
POST /api/3.0/mlflow/traces/delete-traces
DELETE /api/3.0/mlflow/datasets/<dataset_id>
DELETE /api/3.0/mlflow/datasets/<dataset_id>/records
""",
}

OUTLIVED: Mapping[str, str] = {
    "/api/2.0/mlflow/experiments/list": "/api/2.0/mlflow/experiments/search",
    "/api/2.0/mlflow/registered-models/list": "/api/2.0/mlflow/registered-models/search",
}
"""Routes of clients before 2.0 that MLflow dropped, and the ones that answer the same."""

REFUSED: Mapping[str, str] = {
    "/api/2.0/mlflow/webhooks": "this registry has webhooks of its own, at /v1/webhooks",
    "/api/3.0/mlflow/workspaces": "one registry has one space; exports come from workspaces of /v1",
    "/api/3.0/mlflow/gateway/": "no gateway to language models",
    "POST /ajax-api/2.0/mlflow/gateway-proxy": "no gateway to language models",
    "/ajax-api/2.0/mlflow/runs/create-promptlab-run": "no gateway to language models",
    "/api/3.0/mlflow/prompt-optimization/": "no jobs of MLflow's",
    "/ajax-api/3.0/mlflow/jobs/": "no jobs of MLflow's",
    "/ajax-api/3.0/mlflow/genai/evaluate/invoke": "no jobs of MLflow's",
    "/ajax-api/3.0/mlflow/issues/invoke": "no jobs of MLflow's",
    "/ajax-api/3.0/mlflow/scorer/invoke": "no jobs of MLflow's",
    "/ajax-api/3.0/mlflow/demo/": "no demonstration data",
    "/ajax-api/3.0/mlflow/ui-telemetry": "nothing is reported to anybody",
    "/api/3.0/mlflow/scorers/": "scorers are code that the server would run",
    "/api/3.0/mlflow/issues": "part of the review of language models, which is not hosted",
    "/api/3.0/mlflow/label-schemas/": "part of the review of language models, which is not hosted",
    "/api/3.0/mlflow/review-queues/": "part of the review of language models, which is not hosted",
    "/api/2.0/mlflow/traces/link-prompts": "prompts are kept as exports bring them and cannot be changed",
    "/api/2.0/mlflow/artifacts/presigned-": "presigned URLs come from mlflow-artifacts/presigned and mpu",
    "/ajax-api/2.0/mlflow/upload-artifact": "uploads are streamed by the artifact proxy",
    "/api/2.0mlflow/experiments/search-datasets": "MLflow does not implement it",
    "/api/2.0/mlflow/unified-traces": "MLflow does not implement it",
    "/api/2.0/mlflow/get-online-trace-details": "MLflow does not implement it",
    "/build/": "the same files as /static-files/",
    "GET /graphql": "queries are sent by POST",
}
"""Beginnings of paths, with a method in front where only that one is refused."""


def rows() -> Iterator[tuple[Permission, str, str]]:
    """Each row: permission, method, path as in the table."""
    for permission, text in TABLE.items():
        for line in text.strip().splitlines():
            method, _, path = line.partition(" ")
            yield permission, method, path


def twins(path: str) -> tuple[str, ...]:
    """All paths that a path in this module stands for."""
    return (path, "/ajax-" + path.removeprefix("/")) if path.startswith("/api/") else (path,)


def refused(method: str, path: str) -> str:
    """Why a path is refused; '' when REFUSED does not know it."""
    for entry, reason in REFUSED.items():
        only, _, beginning = entry.rpartition(" ")
        if only in ("", method) and path.startswith(twins(beginning)):
            return reason
    return ""


_HOSTED = Map(
    [Rule(twin, methods=[method], endpoint=kind) for kind, method, path in rows() for twin in twins(path)],
    redirect_defaults=False,
    merge_slashes=False,
).bind("")


@dataclass(frozen=True)
class Route:
    """`path` is the pattern in the table, `arguments` what stands for its parameters."""

    path: str
    arguments: Mapping[str, str]
    permission: Permission

    @property
    def writes(self) -> bool:
        return self.permission in (Permission.PROMOTE, Permission.TRACK, Permission.ADMIN)

    @property
    def successor(self) -> str:
        """The path at which MLflow answers a route of OUTLIVED; '' for the others."""
        for outlived, current in OUTLIVED.items():
            for old, new in zip(twins(outlived), twins(current), strict=True):
                if self.path == old:
                    return new
        return ""


def hosted(method: str, path: str) -> Route | None:
    """The route of a request; None when it is not hosted. HEAD is as GET."""
    if path.startswith("//"):
        return None  # which werkzeug would match like "/"
    try:
        rule, arguments = _HOSTED.match(path, method, return_rule=True)
    except HTTPException:
        return None
    return Route(rule.rule, arguments, rule.endpoint)
