"""One function a rule: the refusals that it has for these facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from service.domain.policy_contents import files, flavors, input_example, no_pickle, signature, tags
from service.domain.policy_facts import Facts
from service.domain.policy_measures import metrics, regressions
from service.domain.policy_refusal import Refused, listed, span
from service.domain.policy_rules import CameFrom, Policy

Check = Callable[[Policy, Facts], Iterator[Refused]]


def came_from(policy: Policy, facts: Facts) -> Iterator[Refused]:
    for rule in policy.came_from:
        place = f"{rule.environment}/{rule.stage}"
        expected = _stay(rule, place)
        held = facts.held.get((rule.environment, rule.stage))
        if held is None:
            found = "never there"
        elif rule.still_there and not held.now:
            found = "no longer there"
        elif (length := held.longest if rule.unbroken else held.total) < rule.held_for:
            found = f"there for {span(length)}"
        else:
            continue
        yield Refused("came_from", expected, found, f"The version must be {expected}; it was {found}.")


def _stay(rule: CameFrom, place: str) -> str:
    text = f"in {place} now" if rule.still_there else f"in {place} before"
    if rule.held_for:
        text += f", for {span(rule.held_for)} {'without a break' if rule.unbroken else 'in all'}"
    return text


def approvals(policy: Policy, facts: Facts) -> Iterator[Refused]:
    """A name counts once, whatever tokens it has, and the promoter's never."""
    rule = policy.approvals
    if rule is None:
        return
    good: dict[str, str] = {}
    for approval in facts.approvals:
        if (
            approval.digest == facts.digest
            and not approval.revoked
            and approval.by_id not in (facts.promoter_id, *good.values())
            and approval.by != facts.promoter
            and facts.now < min(approval.expires_at, approval.at + rule.valid_for)
        ):
            good.setdefault(approval.by, approval.by_id)
    if len(good) < rule.count:
        expected = f"{rule.count} by people other than {facts.promoter}"
        found = f"{len(good)} ({listed(sorted(good))})" if good else "0"
        yield Refused(
            "approvals", expected, found, f"The promotion needs approvals: {expected}; it has {found} that hold."
        )


def source_workspaces(policy: Policy, facts: Facts) -> Iterator[Refused]:
    if policy.source_workspaces and facts.workspace not in policy.source_workspaces:
        expected = f"from {listed(policy.source_workspaces)}"
        found = facts.workspace or "registered here, from no workspace"
        yield Refused("source_workspaces", expected, found, f"The version must come {expected}; found: {found}.")


def freezes(policy: Policy, facts: Facts) -> Iterator[Refused]:
    for rule in policy.freezes:
        until = facts.frozen.get(rule)
        if until is not None and facts.now < until:
            found = f"frozen until {until.isoformat()}"
            why = f" ({rule.reason})" if rule.reason else ""
            expected = f"outside of {rule.start} {rule.time_zone} for {span(rule.duration)}"
            yield Refused("freezes", expected, found, f"The stage is {found}{why}.")


CHECKS: Mapping[str, Check] = {
    "came_from": came_from,
    "approvals": approvals,
    "signature": signature,
    "input_example": input_example,
    "tags": tags,
    "metrics": metrics,
    "regressions": regressions,
    "flavors": flavors,
    "files": files,
    "no_pickle": no_pickle,
    "source_workspaces": source_workspaces,
    "freezes": freezes,
}
