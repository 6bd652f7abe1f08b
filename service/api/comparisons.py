"""The route that compares two versions."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint

from service.api import comparison_payloads as cp
from service.api import payloads as p
from service.api.answers import answer
from service.api.auth import authenticated, principal
from service.api.comparison_text import comparison_text
from service.api.document import problems
from service.api.models import MODELS
from service.usecases.compare_versions import Comparison, Side, compare_versions
from service.wiring import Parts

KINDS = ("application/json", "text/plain")


def add_comparisons(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/models/<model>/diff", tags=[MODELS], responses={200: cp.ComparisonOut, **problems(409)})
    @authenticated()
    def get_diff(path: p.ModelPath, query: cp.CompareQuery, header: cp.CompareHeaders) -> Response:
        """Two versions side by side: what was measured, what they need, their files, where they come from."""
        found = compare_versions(
            parts.store, parts.objects, principal(), path.model, query.from_, query.to, query.equal
        )
        response = _text(found) if _wants_text(query.format) else answer(_shown(found))
        response.vary.add("Accept")
        return response


def _wants_text(format: str | None) -> bool:
    if format is not None:
        return format == "text"
    return request.accept_mimetypes.best_match(KINDS, default=KINDS[0]) == "text/plain"


def _text(found: Comparison) -> Response:
    return Response(comparison_text(found), mimetype="text/plain")


def _shown(found: Comparison) -> cp.ComparisonOut:
    return cp.ComparisonOut(
        model=found.before.version.model,
        identical=found.before.version.digest == found.after.version.digest,
        before=_side(found.before),
        after=_side(found.after),
        **{name: cp.SectionOut.model_validate(section) for name, section in found.sections.items()},
    )


def _side(side: Side) -> cp.SideOut:
    held = side.assignment
    place = {
        "environment": held and held.environment,
        "stage": held and held.stage,
        "revision": held and held.revision,
    }
    return cp.SideOut.model_validate({**vars(side.version), **place})
