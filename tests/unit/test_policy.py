"""What policies say to facts; no store is needed for that."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidInput
from service.domain.policy import (
    Policy,
    StagePolicies,
    approval_lifetime,
    evaluate,
    needed_approvals,
    rollback_skips_approvals,
)
from service.domain.policy_checks import CHECKS
from service.domain.policy_facts import Approved, Facts, Measured
from service.domain.policy_rules import RULES, duration, policy_of
from tests.unit.policy_cases import CASES, FACTS, NOW, Malformed, No, Yes, approved

YES = [(rule, case) for rule, cases in CASES.items() for case in cases if isinstance(case, Yes)]
NO = [(rule, case) for rule, cases in CASES.items() for case in cases if isinstance(case, No)]


def test_every_rule_has_each_case() -> None:
    assert tuple(CASES) == tuple(CHECKS) == RULES
    for rule, cases in CASES.items():
        assert {type(case) for case in cases} == {Yes, No, Malformed}, rule


@pytest.mark.parametrize(("rule", "case"), YES, ids=[f"{rule}-{number}" for number, (rule, _) in enumerate(YES)])
def test_yes(rule: str, case: Yes) -> None:
    assert rule in case.document
    assert evaluate(policy_of(case.document), case.facts) == ()


@pytest.mark.parametrize(("rule", "case"), NO, ids=[f"{rule}-{number}" for number, (rule, _) in enumerate(NO)])
def test_no(rule: str, case: No) -> None:
    assert evaluate(policy_of(case.document), case.facts) == case.refused
    assert [refused.rule for refused in case.refused] == [rule]


def test_nothing_is_asked_without_a_policy() -> None:
    bare = Facts(now=NOW, stage="Production", digest="", promoter_id="", promoter="")
    assert evaluate(Policy(), bare) == ()
    assert needed_approvals(Policy()) == 0
    assert not rollback_skips_approvals(Policy())


def test_all_refusals_are_told_in_order() -> None:
    bare = Facts(now=NOW, stage="Production", digest="", promoter_id="", promoter="ci")
    document = {
        "freezes": [],
        "source_workspaces": ["dev"],
        "signature": True,
        "approvals": {"count": 1},
        "metrics": [{"metric": "a", "at_least": 1.0, "at_most": 2.0}],
        "came_from": [{"environment": "qa", "stage": "Staging"}],
    }
    found = [refused.rule for refused in evaluate(policy_of(document), bare)]
    assert found == ["came_from", "approvals", "signature", "metrics", "metrics", "source_workspaces"]


def test_a_stage_has_its_own_rules_or_the_defaults() -> None:
    policies = StagePolicies.of(
        {"default": {"signature": True}, "stages": {"Production": {"input_example": True}, "Archived": {}}}
    )
    assert policies.of_stage("Production") == Policy(input_example=True)
    assert policies.of_stage("Archived") == Policy()
    assert policies.of_stage("Staging") == policies.of_stage("production") == Policy(signature=True)


@pytest.mark.parametrize("empty", [{}, {"default": None, "stages": {}}, {"default": {}}])
def test_an_empty_document_asks_nothing(empty: dict[str, object]) -> None:
    assert StagePolicies.of(empty).of_stage("Production") == Policy()


def test_approvals() -> None:
    policy = policy_of({"approvals": {"count": 2}, "rollback_skips": ["approvals"]})
    assert (needed_approvals(policy), approval_lifetime(policy)) == (2, timedelta(days=7))
    assert approval_lifetime(policy_of({"approvals": {"count": 2, "valid_for": "36h"}})) == timedelta(hours=36)
    assert rollback_skips_approvals(policy)
    assert evaluate(policy, replace(FACTS, rollback=True)) == ()
    assert len(evaluate(policy, FACTS)) == 1


def test_only_what_is_named_is_skipped_by_a_rollback() -> None:
    worse = replace(FACTS, rollback=True, measured=Measured({"accuracy": 0.1}))
    document = {"regressions": [{"metric": "accuracy", "better": "higher"}], "rollback_skips": []}
    assert len(evaluate(policy_of(document), worse)) == 1
    assert len(evaluate(policy_of({**document, "rollback_skips": ["approvals"]}), worse)) == 1
    assert evaluate(policy_of({**document, "rollback_skips": ["regressions"]}), worse) == ()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("9999w", 9999 * 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert duration(text).total_seconds() == seconds
    assert NOW + duration(text) > NOW  # no date runs over


@pytest.mark.parametrize("text", ["", "h", "24", "-1h", "0h", "1.5h", "24h ", "10000w", "PT24H", "1h30m", "24H", "٢h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInput):
        duration(text)


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(numbers, st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_bound_holds_exactly_for_finite_values_within(value: float, bound: float, at_least: bool) -> None:
    document = {"metrics": [{"metric": "m", "at_least" if at_least else "at_most": bound}]}
    fine = not evaluate(policy_of(document), replace(FACTS, measured=Measured({"m": value})))
    assert fine == (math.isfinite(value) and (value >= bound if at_least else value <= bound))


@given(numbers, numbers, st.floats(min_value=0, allow_nan=False, allow_infinity=False), st.booleans())
def test_no_regression_beyond_the_margin(value: float, was: float, margin: float, higher: bool) -> None:
    rule = {"metric": "m", "better": "higher" if higher else "lower", "margin": margin}
    facts = replace(FACTS, measured=Measured({"m": value}), current=Measured({"m": was}))
    fine = not evaluate(policy_of({"regressions": [rule]}), facts)
    if not (math.isfinite(value) and math.isfinite(was)):
        assert not fine
    elif value == was or (value > was) == higher:
        assert fine
    elif margin == 0:
        assert not fine


people = st.sampled_from(["ann", "bob", "ci", "eve"])


@given(st.lists(st.builds(approved, people, by_id=people.map("id-{}".format), revoked=st.booleans())))
def test_approvals_count_people(given_: list[Approved]) -> None:
    """As many as there are names and tokens other than the promoter's, at most; one good approval is enough for one."""
    facts = replace(FACTS, approvals=tuple(given_))
    good = [each for each in facts.approvals if not each.revoked and each.by != "ci" and each.by_id != "id-ci"]
    names, ids = {each.by for each in good}, {each.by_id for each in good}
    for count in (1, 2, 3):
        fine = not evaluate(policy_of({"approvals": {"count": count}}), facts)
        if count > min(len(names), len(ids)):
            assert not fine
        elif count == 1:
            assert fine


@given(st.text(), st.text(max_size=20))
def test_patterns_take_any_text(text: str, pattern: str) -> None:
    facts = replace(FACTS, files=(text,), tags={"t": text})
    document = {"files": {"forbidden": [pattern or "x"]}, "tags": [{"key": "t", "pattern": "*"}]}
    assert all(refused.rule == "files" for refused in evaluate(policy_of(document), facts))
