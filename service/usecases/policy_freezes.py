"""Hold a stage as it is while a freeze of its policy is on."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from service.domain.environment import Place
from service.domain.errors import PolicyRefused
from service.domain.policy_checks import freezes
from service.domain.policy_facts import Facts
from service.domain.policy_rules import FreezeWindow, Policy
from service.usecases.freezes import frozen_until
from service.usecases.ports import Transaction


def check_windows(tx: Transaction, now: datetime, place: Place) -> None:
    """Raises PolicyRefused, for a change that brings no version which other rules could look at."""
    policy = tx.policies.current(place.environment, place.model).policies.of_stage(place.stage)
    facts = Facts(now, place.stage, digest="", promoter_id="", promoter="", frozen=frozen(policy, now))
    rules = [asdict(rule) for rule in freezes(policy, facts)]
    if rules:
        raise PolicyRefused(" ".join(rule["detail"] for rule in rules), rules=rules)


def frozen(policy: Policy, now: datetime) -> dict[FreezeWindow, datetime]:
    """The end of each freeze that is on."""
    return {window: until for window in policy.freezes if (until := frozen_until(window, now)) is not None}
