"""Routes of policies: what environments ask of a version before they let it in."""

from __future__ import annotations

import re
from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import payloads as p
from service.api import policy_payloads as pp
from service.api.answers import answer, no_content
from service.api.auth import admin, principal, scoped
from service.api.document import problems
from service.domain.errors import PreconditionFailed
from service.domain.policy import PolicyVersion
from service.usecases.manage_policies import get_policy, put_policy, remove_policy
from service.usecases.read_history import READ
from service.wiring import Parts

POLICIES = Tag(name="policies", description="What environments ask of a version before they let it in")
ENVIRONMENT = "/environments/<environment>/policy"
MODEL = "/environments/<environment>/models/<model>/policy"
PUT: dict[int, Any] = {200: pp.PolicyOut, **problems(409, 412, 413, 415)}


def add_policies(api: APIBlueprint, parts: Parts) -> None:
    @api.put(ENVIRONMENT, tags=[POLICIES], responses=PUT)
    @admin()
    def put_environment_policy(path: p.EnvironmentPath, body: pp.PolicyIn, header: pp.PolicyHeaders) -> Response:
        """Replace the environment's policy; every earlier one stays in its history."""
        return _shown(
            put_policy(
                parts.store, parts.clock, principal(), path.environment, "", _document(body), expected(header.if_match)
            )
        )

    @api.get(ENVIRONMENT, tags=[POLICIES], responses={200: pp.PolicyOut})
    @scoped(*READ, parameter="environment")
    def get_environment_policy(path: p.EnvironmentPath) -> Response:
        """The environment's policy; version 0 is the empty one of an environment that was never given any."""
        return _shown(get_policy(parts.store, path.environment, ""))

    @api.get(f"{ENVIRONMENT}/history", tags=[POLICIES], responses={200: pp.PolicyHistoryOut})
    @scoped(*READ, parameter="environment")
    def get_environment_policy_history(path: p.EnvironmentPath, query: pp.PolicyHistoryQuery) -> Response:
        """Every policy that the environment had, the newest first."""
        return _history(parts, path.environment, "", query)


def add_model_policies(api: APIBlueprint, parts: Parts) -> None:
    @api.put(MODEL, tags=[POLICIES], responses=PUT)
    @admin()
    def put_model_policy(path: pp.ModelPolicyPath, body: pp.PolicyIn, header: pp.PolicyHeaders) -> Response:
        """Give a model a policy of its own there, which holds instead of the environment's."""
        return _shown(
            put_policy(
                parts.store,
                parts.clock,
                principal(),
                path.environment,
                path.model,
                _document(body),
                expected(header.if_match),
            )
        )

    @api.get(MODEL, tags=[POLICIES], responses={200: pp.PolicyOut})
    @scoped(*READ, parameter="environment")
    def get_model_policy(path: pp.ModelPolicyPath) -> Response:
        """The model's own policy there; 404 when the environment's holds for it."""
        return _shown(get_policy(parts.store, path.environment, path.model))

    @api.delete(MODEL, tags=[POLICIES], responses={204: None, **problems(412)})
    @admin()
    def delete_model_policy(path: pp.ModelPolicyPath, header: pp.PolicyHeaders) -> Response:
        """Take the model's own policy away: the environment's holds again."""
        remove_policy(parts.store, parts.clock, principal(), path.environment, path.model, expected(header.if_match))
        return no_content()

    @api.get(f"{MODEL}/history", tags=[POLICIES], responses={200: pp.PolicyHistoryOut})
    @scoped(*READ, parameter="environment")
    def get_model_policy_history(path: pp.ModelPolicyPath, query: pp.PolicyHistoryQuery) -> Response:
        """Every policy that the model had there, the newest first."""
        return _history(parts, path.environment, path.model, query)


def expected(if_match: str | None) -> int | None:
    """The version that If-Match names; None without the header. What is no version of ours matches none."""
    if if_match is None:
        return None
    match = re.fullmatch(r'\s*"?([0-9]{1,9})"?\s*', if_match)
    if not match:
        raise PreconditionFailed("If-Match is not the ETag of a policy.", header="If-Match")
    return int(match[1])


def _document(body: pp.PolicyIn) -> dict[str, Any]:
    """As it was sent: without what was left out."""
    return body.model_dump(mode="json", exclude_unset=True)


def _fields(version: PolicyVersion) -> dict[str, Any]:
    return {
        "environment": version.environment,
        "model": version.model,
        "version": version.number,
        "policy": pp.PolicyIn.model_validate(version.policies.document),
        "changed_by": version.by,
        "changed_at": version.at,
    }


def _shown(version: PolicyVersion) -> Response:
    return answer(pp.PolicyOut(**_fields(version)), headers={"ETag": f'"{version.number}"'}, unset=False)


def _history(parts: Parts, environment: str, model: str, query: pp.PolicyHistoryQuery) -> Response:
    with parts.store.transaction() as tx:
        versions = tx.policies.history(environment, model, query.limit, query.before)
    rows = [pp.PolicyChangeOut(**_fields(version), removed=version.removed) for version in versions]
    return answer(pp.PolicyHistoryOut(versions=rows), unset=False)
