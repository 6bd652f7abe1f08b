"""docs/policies.md holds what the code does: every rule, an example that is valid, refusals word by word."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from service.api.policy_payloads import PolicyIn, RulesIn
from service.domain.policy_contents import PICKLES
from service.domain.policy_rules import RULES
from tests.unit.policy_cases import CASES, No

TEXT = (Path(__file__).parents[2] / "docs/policies.md").read_text(encoding="utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
REFUSED = [
    asdict(refused) for cases in CASES.values() for case in cases if isinstance(case, No) for refused in case.refused
]


def test_every_field_has_a_valid_example() -> None:
    documents = [block for block in BLOCKS if "stages" in block]
    rules = [block for block in BLOCKS if "stages" not in block and "rule" not in block]
    for document in documents:
        PolicyIn.model_validate(document)
    shown = {name for block in rules for name in RulesIn.model_validate(block).model_fields_set}
    assert documents
    assert shown == set(RulesIn.model_fields) == {*RULES, "rollback_skips"}
    headings = {name for heading in re.findall(r"^## (.*)$", TEXT, re.MULTILINE) for name in heading.split(", ")}
    assert headings == shown


def test_every_rule_has_a_refusal_word_by_word() -> None:
    refusals = [block for block in BLOCKS if "rule" in block]
    assert {block["rule"] for block in refusals} == set(RULES)
    for block in refusals:
        assert block in REFUSED


def test_the_names_of_pickles_are_told() -> None:
    for pattern in PICKLES:
        assert f"`{pattern.removeprefix('*/')}`" in TEXT
