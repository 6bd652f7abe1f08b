"""Versions on their way: numbered at once, their bytes frozen by the worker; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.domain.model import Manifest, ModelVersion
from service.usecases.model_ports import NewVersion
from service.usecases.view_ports import Key

MAX_MESSAGE = 500
"""Characters of why a version could not be registered, as many as MLflow's table has room for."""


@dataclass(frozen=True)
class NewRegistration:
    """What is asked for: `folder` in the bucket (with a slash at its end), or the `digest` of frozen bytes.

    `workspace` owns the model's name, '' for the registry's own. `actor_id` and `request_id` say whose wish it is.
    """

    model: str
    workspace: str
    source: str
    folder: str
    digest: str
    run_id: str
    actor: str
    actor_id: str
    request_id: str
    lineage: Mapping[str, Any]
    description: str = ""
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_version(
        self, manifest: Manifest, flavors: Mapping[str, Any], signature: Mapping[str, Any] | None, status: str
    ) -> NewVersion:
        return NewVersion(
            model=self.model,
            workspace=self.workspace,
            manifest=manifest,
            run_id=self.run_id,
            created_by=self.actor,
            flavors=flavors,
            signature=signature,
            lineage=self.lineage,
            description=self.description,
            user=self.actor,
            run_link=self.run_link,
            tags=self.tags,
            status=status,
        )


@dataclass(frozen=True)
class Registration:
    """`attempt` counts from 1; before the first it is 0."""

    version: int
    attempt: int
    asked: NewRegistration


class Registrations(Protocol):
    def begin(self, asked: NewRegistration, wait: int = 0) -> Registration:
        """Number the version, write it as PENDING_REGISTRATION, and queue its job for `wait` seconds from now.

        Raises Conflict when another workspace owns the model's name, or when it is a prompt's.
        """
        ...

    def start(self, model: str, version: int) -> Registration | None:
        """The next attempt; None when the version is ready, failed or deleted."""
        ...

    def finish(
        self,
        registration: Registration,
        manifest: Manifest,
        flavors: Mapping[str, Any],
        signature: Mapping[str, Any] | None,
    ) -> ModelVersion:
        """Make the version READY. Raises ConcurrentChange when another attempt began, or it was deleted meanwhile."""
        ...

    def fail(self, registration: Registration, message: str) -> bool:
        """Make the version FAILED_REGISTRATION; False when the attempt is not the last one any more."""
        ...

    def requeue(self) -> Sequence[Key]:
        """Queue those that are pending without a job; answers with them."""
        ...
