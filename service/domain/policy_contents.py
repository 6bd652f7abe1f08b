"""What the rules about a version's own files and tags say no to; no byte of them is ever loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from service.domain.policy_facts import Facts
from service.domain.policy_refusal import Refused, cut, listed
from service.domain.policy_rules import Policy, RequiredTag

INPUT_EXAMPLE = "input_example.json"
"""Where every version of MLflow keeps the example."""
PICKLES = (
    "*.pkl",
    "*.pickle",
    "*.cloudpickle",
    "*.dill",
    "*.joblib",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "pytorch_model*.bin",
    "*/pytorch_model*.bin",
)
"""Names by which pickles, and zip files of pickles, go."""
PICKLING = ("pickle", "cloudpickle", "dill", "joblib")


def signature(policy: Policy, facts: Facts) -> Iterator[Refused]:
    if policy.signature and not facts.signature:
        yield Refused("signature", "a model signature", "none", "The version's MLmodel file has no signature.")


def input_example(policy: Policy, facts: Facts) -> Iterator[Refused]:
    if policy.input_example and INPUT_EXAMPLE not in facts.files:
        yield Refused("input_example", f"the file {INPUT_EXAMPLE}", "none", "The version has no input example.")


def tags(policy: Policy, facts: Facts) -> Iterator[Refused]:
    for rule in policy.tags:
        found = facts.tags.get(rule.key)
        if found is None or not _tag_fits(rule, found):
            expected = f"{rule.key} {_wanted(rule)}"
            shown = "no such tag" if found is None else cut(found)
            yield Refused(
                "tags", expected, shown, f"The version's tag {rule.key} must be {_wanted(rule)}; found: {shown}."
            )


def _tag_fits(rule: RequiredTag, found: str) -> bool:
    if rule.value is not None and found != rule.value:
        return False
    return rule.pattern is None or fnmatchcase(found, rule.pattern)


def _wanted(rule: RequiredTag) -> str:
    if rule.value is not None:
        return f"= {rule.value}"
    return "set" if rule.pattern is None else f"like {rule.pattern}"


def flavors(policy: Policy, facts: Facts) -> Iterator[Refused]:
    """`python_function` beside the flavor that it calls is no flavor of its own."""
    rule = policy.flavors
    own = sorted(name for name in facts.flavors if name != "python_function" or not _calls_another(facts.flavors))
    if rule.allowed and not own:
        expected = f"one of {listed(rule.allowed)}"
        yield Refused("flavors", expected, "none", f"The version's flavor must be {expected}; it has none.")
    for name in own:
        if name in rule.forbidden:
            expected = f"not {listed(rule.forbidden)}"
        elif rule.allowed and name not in rule.allowed:
            expected = f"one of {listed(rule.allowed)}"
        else:
            continue
        yield Refused("flavors", expected, name, f"The version's flavor must be {expected}; found: {name}.")


def _calls_another(found: Mapping[str, Any]) -> bool:
    generic = found["python_function"]
    module = generic.get("loader_module") if isinstance(generic, Mapping) else None
    parts = module.split(".") if isinstance(module, str) else []
    return len(parts) == 2 and parts[0] == "mlflow" and parts[1] in found.keys() - {"python_function"}


def files(policy: Policy, facts: Facts) -> Iterator[Refused]:
    rule = policy.files
    if rule.forbidden and (bad := [path for path in facts.files if _matches(path, rule.forbidden)]):
        expected = f"no {listed(rule.forbidden)}"
        yield Refused("files", expected, listed(bad), f"Files of the version are refused: {listed(bad)}.")
    if rule.allowed and (odd := [path for path in facts.files if not _matches(path, rule.allowed)]):
        expected = f"only {listed(rule.allowed)}"
        yield Refused("files", expected, listed(odd), f"Files of the version are not allowed: {listed(odd)}.")


def no_pickle(policy: Policy, facts: Facts) -> Iterator[Refused]:
    if not policy.no_pickle:
        return
    found = [path for path in facts.files if _matches(path, PICKLES)]
    found += [f"flavor {name} ({how})" for name in sorted(facts.flavors) for how in _pickling(facts.flavors[name])]
    if found:
        yield Refused("no_pickle", "no pickle", listed(found), f"The version holds pickles: {listed(found)}.")


def _pickling(flavor: Any) -> Iterator[str]:
    """How the flavor's own description says that it is pickled."""
    if not isinstance(flavor, Mapping):
        return
    form = flavor.get("serialization_format")
    if isinstance(form, str) and form.lower() in PICKLING:
        yield form
    if flavor.get("cloudpickle_version") is not None:
        yield "cloudpickle"


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """`*` crosses folders, case does not matter: neither is to be a way around a rule."""
    return any(fnmatchcase(path.casefold(), pattern.casefold()) for pattern in patterns)
