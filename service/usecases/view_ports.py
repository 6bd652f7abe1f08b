"""What MLflow's clients see of models and versions; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.domain.environment import Assignment

Key = tuple[str, int]
"""A model's name and the number of one of its versions."""


@dataclass(frozen=True)
class KnownVersion:
    """A version as MLflow's rows have it, without its stage. Times are milliseconds since 1970.

    `digest` is empty until its bytes are frozen; `status` is PENDING_REGISTRATION, READY or FAILED_REGISTRATION.
    """

    model: str
    version: int
    created: int
    updated: int | None
    description: str | None
    user: str | None
    source: str | None
    run_id: str | None
    run_link: str | None
    status: str
    status_message: str | None
    digest: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Views(Protocol):
    """Reads by many names at once; names and numbers that are not there are left out of the answers."""

    def held(self, environment: str, models: Collection[str]) -> Sequence[Assignment]:
        """What the environment's stages hold of these models."""
        ...

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        """MLflow's own aliases; a model without any has an empty mapping."""
        ...

    def versions(self, keys: Collection[Key]) -> Mapping[Key, KnownVersion]: ...

    def highest(self, models: Collection[str], beside: Collection[Key]) -> Mapping[str, int]:
        """The highest number of each model's versions, those `beside` left out."""
        ...
