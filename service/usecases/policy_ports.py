"""What policies and the comparison of versions need from the outside, beside `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from service.domain.model import ModelVersion
from service.domain.policy import PolicyVersion, StagePolicies
from service.domain.policy_facts import Measured

Stretch = tuple[datetime, datetime | None]
"""From, and until when; None: still."""


class Policies(Protocol):
    """Every policy that an environment, or a model in it, ever had. `model` is empty for the environment's own."""

    def put(
        self,
        environment: str,
        model: str,
        policies: StagePolicies | None,
        by: str,
        at: datetime,
        expected: int | None = None,
    ) -> PolicyVersion:
        """The next version; `policies` None removes the model's own.

        Raises NotFound for environment or model, PreconditionFailed unless the current number is `expected`.
        """
        ...

    def own(self, environment: str, model: str) -> PolicyVersion:
        """What was put for exactly these; number 0 when nothing holds. Raises NotFound for environment or model."""
        ...

    def current(self, environment: str, model: str) -> PolicyVersion:
        """What holds for the model: its own, else the environment's, else the empty policy. Raises as `own`."""
        ...

    def history(self, environment: str, model: str, limit: int, before: int | None) -> Sequence[PolicyVersion]:
        """Newest first; `before` is the number to go on after. Raises as `own`."""
        ...


class Evidence(Protocol):
    """What is known of a version beyond its own row."""

    def params(self, run_id: str, limit: int) -> Mapping[str, str]:
        """Of the run, the first `limit` by name; empty when there is no such run."""
        ...

    def tags(self, model: str, version: int) -> Mapping[str, str]: ...

    def measured(self, version: ModelVersion, names: Collection[str]) -> Measured:
        """The metrics of these names: of the version's run, and of its logged model, if it has one."""
        ...

    def metric_names(self, version: ModelVersion, limit: int) -> Sequence[str]:
        """Of run and logged model together, the first `limit` by name."""
        ...

    def stretches(self, environment: str, model: str, stage: str, digest: str) -> Sequence[Stretch]:
        """When the stage held these bytes, oldest first; stretches that touch are one."""
        ...
