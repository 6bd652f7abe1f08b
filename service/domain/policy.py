"""Policies: which rules a version must meet to go into a stage. Pure: the facts are passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.domain.policy_checks import CHECKS
from service.domain.policy_facts import Approved, Facts
from service.domain.policy_refusal import Refused
from service.domain.policy_rules import RULES, Approvals, Policy, policy_of

__all__ = [
    "APPROVALS",
    "Approved",
    "Facts",
    "Policy",
    "PolicyVersion",
    "Refused",
    "StagePolicies",
    "approval_lifetime",
    "evaluate",
    "needed_approvals",
    "rollback_skips_approvals",
]

APPROVALS = "approvals"
"""The one rule whose refusal time can cure: a promotion that it alone refuses can wait for more of them."""


@dataclass(frozen=True)
class StagePolicies:
    """A policy for each stage: one that is not named has the default's rules, one that is has its own alone.

    `document` is the JSON it was made from.
    """

    default: Policy = field(default_factory=Policy)
    stages: Mapping[str, Policy] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> StagePolicies:
        """From JSON whose shape is already known to be right."""
        stages = document.get("stages") or {}
        named = {name: policy_of(rules) for name, rules in stages.items()}
        return cls(policy_of(document.get("default") or {}), named, document)

    def of_stage(self, stage: str) -> Policy:
        return self.stages.get(stage, self.default)


@dataclass(frozen=True)
class PolicyVersion:
    """One version of an environment's policies, or of a model's own there when `model` is not empty.

    `number` counts the changes of each from 1; 0 are the empty ones that hold where none were ever put, and only
    those have no `at`. `removed`: from here on the model has none of its own.
    """

    environment: str
    model: str
    number: int
    policies: StagePolicies
    by: str
    at: datetime | None
    removed: bool = False

    @classmethod
    def none(cls, environment: str, model: str) -> PolicyVersion:
        return cls(environment, model, 0, StagePolicies(), "", None)


def evaluate(policy: Policy, facts: Facts) -> tuple[Refused, ...]:
    """Every reason why the version may not go into the stage, in the order of RULES; none: it may."""
    skipped = policy.rollback_skips if facts.rollback else ()
    return tuple(refused for name in RULES if name not in skipped for refused in CHECKS[name](policy, facts))


def needed_approvals(policy: Policy) -> int:
    return 0 if policy.approvals is None else policy.approvals.count


def approval_lifetime(policy: Policy) -> timedelta:
    return Approvals.valid_for if policy.approvals is None else policy.approvals.valid_for


def rollback_skips_approvals(policy: Policy) -> bool:
    return APPROVALS in policy.rollback_skips
