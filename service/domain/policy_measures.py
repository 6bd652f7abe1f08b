"""What the rules about metrics say no to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from service.domain.policy_facts import Facts
from service.domain.policy_refusal import Refused
from service.domain.policy_rules import MetricBound, NoRegression, Policy


def metrics(policy: Policy, facts: Facts) -> Iterator[Refused]:
    for rule in policy.metrics:
        value = facts.measured.value(rule.metric, rule.source, rule.dataset)
        for sign, bound in ((">=", rule.at_least), ("<=", rule.at_most)):
            if bound is None:
                continue
            if value is not None and math.isfinite(value) and (value >= bound if sign == ">=" else value <= bound):
                continue
            expected = f"{rule.metric} {sign} {bound!r}"
            found = _measured(value)
            yield Refused("metrics", expected, found, f"{_named(rule)} must be {sign} {bound!r}; found: {found}.")


def regressions(policy: Policy, facts: Facts) -> Iterator[Refused]:
    for rule in policy.regressions if facts.current is not None else ():
        assert facts.current is not None
        was = facts.current.value(rule.metric, rule.source, rule.dataset)
        value = facts.measured.value(rule.metric, rule.source, rule.dataset)
        if was is None or not math.isfinite(was):
            if rule.without_current == "refuse":
                expected = f"{rule.metric} of the current version"
                yield Refused(
                    "regressions",
                    expected,
                    _measured(was),
                    f"{_named(rule)} cannot be compared: the current version's is {_measured(was)}.",
                )
            continue
        # Decimals, so that 0.91 is not worse than 0.93 by more than 0.02.
        margin = Decimal(repr(rule.margin))
        limit = Decimal(repr(was)) + (-margin if rule.better == "higher" else margin)
        sign = ">=" if rule.better == "higher" else "<="
        if value is not None and math.isfinite(value):
            mine = Decimal(repr(value))
            if mine >= limit if rule.better == "higher" else mine <= limit:
                continue
        expected = f"{rule.metric} {sign} {limit.normalize():f} (current: {was!r}, margin: {rule.margin!r})"
        yield Refused(
            "regressions",
            expected,
            _measured(value),
            f"{_named(rule)} must not get worse: expected {expected}; found: {_measured(value)}.",
        )


def _named(rule: MetricBound | NoRegression) -> str:
    if rule.source == "run":
        return f"The run's metric {rule.metric}"
    return f"The evaluation's metric {rule.metric}" + (f" on {rule.dataset}" if rule.dataset else "")


def _measured(value: float | None) -> str:
    return "not measured" if value is None else repr(value)
