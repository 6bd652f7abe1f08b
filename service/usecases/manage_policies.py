"""Change policies, after a look at whether they can ever be met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.audit import Change
from service.domain.errors import InvalidInput, NotFound
from service.domain.identity import Principal
from service.domain.policy import PolicyVersion, StagePolicies
from service.domain.policy_rules import CameFrom, MetricBound, Policy, RequiredTag
from service.usecases.freezes import check_window
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record


def put_policy(
    store: RegistryStore,
    clock: Clock,
    by: Principal,
    environment: str,
    model: str,
    document: Mapping[str, Any],
    expected: int | None,
) -> PolicyVersion:
    """The next version of the environment's policies, or of those of a model in it; `document` has the right shape.

    Raises InvalidInput naming the field, NotFound for environment or model, PreconditionFailed unless the current
    number is `expected`, None: whatever it is.
    """
    policies = StagePolicies.of(document)
    with store.transaction() as tx:
        stages = tx.environments.get(environment).stages
        for name in policies.stages:
            if name not in stages:
                raise InvalidInput(
                    f"Environment {environment!r} has no stage {name[:80]!r}; it has {', '.join(stages)}.",
                    field=f"stages.{name[:80]}",
                )
        for where, policy in (("default", policies.default), *_named(policies)):
            _check(tx, policy, where)
        return _put(tx, clock, by, environment, model, policies, expected)


def remove_policy(
    store: RegistryStore, clock: Clock, by: Principal, environment: str, model: str, expected: int | None
) -> None:
    """From here on the environment's policies hold for the model.

    Raises NotFound(kind="policy") when it has none of its own, else as `put_policy`.
    """
    with store.transaction() as tx:
        if not tx.policies.own(environment, model).number:
            raise no_policy(environment, model)
        _put(tx, clock, by, environment, model, None, expected)


def _put(
    tx: Transaction,
    clock: Clock,
    by: Principal,
    environment: str,
    model: str,
    policies: StagePolicies | None,
    expected: int | None,
) -> PolicyVersion:
    now = clock()
    before = tx.policies.own(environment, model)
    put = tx.policies.put(environment, model, policies, by.name, now, expected)
    change = Change("policy.changed", by, environment=environment, model=model, before=_told(before), after=_told(put))
    record(tx, change, now)
    return put


def _told(version: PolicyVersion) -> dict[str, Any]:
    return {"number": version.number, "removed": version.removed, "policies": version.policies.document}


def get_policy(store: RegistryStore, environment: str, model: str) -> PolicyVersion:
    """Raises NotFound, with kind="policy" for a model that has none of its own."""
    with store.transaction() as tx:
        found = tx.policies.own(environment, model)
    if model and not found.number:
        raise no_policy(environment, model)
    return found


def no_policy(environment: str, model: str) -> NotFound:
    return NotFound(
        "policy",
        model,
        f"Model {model!r} has no policy of its own in {environment!r}: that of the environment holds for it.",
    )


def _named(policies: StagePolicies) -> list[tuple[str, Policy]]:
    return [(f"stages.{name}", policy) for name, policy in policies.stages.items()]


def _check(tx: Transaction, policy: Policy, where: str) -> None:
    """What no schema can say. Raises InvalidInput naming the field below `where`."""
    for index, source in enumerate(policy.came_from):
        _check_source(tx, source, f"{where}.came_from.{index}")
    for index, bound in enumerate(policy.metrics):
        _check_bound(bound, f"{where}.metrics.{index}")
    for index, tag in enumerate(policy.tags):
        _check_tag(tag, f"{where}.tags.{index}")
    for index, window in enumerate(policy.freezes):
        try:
            check_window(window)
        except InvalidInput as error:
            raise InvalidInput(error.detail, field=f"{where}.freezes.{index}.{error.where['field']}") from error


def _check_source(tx: Transaction, source: CameFrom, where: str) -> None:
    try:
        stages = tx.environments.get(source.environment).stages
    except NotFound as error:
        raise InvalidInput(error.detail, field=f"{where}.environment") from error
    if source.stage not in stages:
        raise InvalidInput(
            f"Environment {source.environment!r} has no stage {source.stage!r}; it has {', '.join(stages)}.",
            field=f"{where}.stage",
        )


def _check_bound(bound: MetricBound, where: str) -> None:
    if bound.at_least is None and bound.at_most is None:
        raise InvalidInput(f"The metric {bound.metric!r} needs at_least or at_most.", field=where)
    if bound.at_least is not None and bound.at_most is not None and bound.at_least > bound.at_most:
        raise InvalidInput(f"No {bound.metric!r} is that much and that little at once.", field=where)


def _check_tag(tag: RequiredTag, where: str) -> None:
    if tag.value is not None and tag.pattern is not None:
        raise InvalidInput(f"The tag {tag.key!r} has a value or a pattern, not both.", field=where)
