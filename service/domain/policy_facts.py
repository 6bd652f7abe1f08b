"""What the rules of a policy look at: plain values, gathered by `service.usecases.policy_facts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.domain.policy_rules import FreezeWindow


@dataclass(frozen=True)
class Evaluation:
    """A metric that was logged for a logged model; `dataset` is empty when none was named."""

    metric: str
    dataset: str
    value: float


@dataclass(frozen=True)
class Measured:
    """What was measured of a version: its run's latest values, and its evaluations, the latest last.

    A value may be NaN.
    """

    run: Mapping[str, float] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()

    def value(self, metric: str, source: str, dataset: str) -> float | None:
        """None when it was not measured."""
        if source == "run":
            return self.run.get(metric)
        found = None
        for evaluation in self.evaluations:
            if evaluation.metric == metric and dataset in ("", evaluation.dataset):
                found = evaluation.value
        return found


@dataclass(frozen=True)
class Held:
    """How long a stage held these bytes until now: the longest stretch, all of them together, and whether it does."""

    longest: timedelta
    total: timedelta
    now: bool


@dataclass(frozen=True)
class Approved:
    """One approval: by whom, of which bytes, when, until when. `revoked`: who gave it may approve no longer.

    A rule that was tightened since ends it earlier.
    """

    by_id: str
    by: str
    digest: str
    at: datetime
    expires_at: datetime
    revoked: bool = False


@dataclass(frozen=True)
class Facts:
    """One version on its way into a stage.

    `held` is by (environment, stage). `current` is what was measured of the version that is in the stage now, None
    when it is empty. `frozen` gives the end of each freeze that is on.
    """

    now: datetime
    stage: str
    digest: str
    promoter_id: str
    promoter: str
    rollback: bool = False
    workspace: str = ""
    signature: bool = False
    flavors: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    measured: Measured = field(default_factory=Measured)
    current: Measured | None = None
    held: Mapping[tuple[str, str], Held] = field(default_factory=dict)
    approvals: tuple[Approved, ...] = ()
    frozen: Mapping[FreezeWindow, datetime] = field(default_factory=dict)
