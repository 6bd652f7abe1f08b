"""An environment: where models are used, each with its own ordered stages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

DEFAULT_STAGES = ("Staging", "Production", "Archived")


class Place(NamedTuple):
    """One stage of one model in one environment: what holds at most one version."""

    environment: str
    model: str
    stage: str


@dataclass(frozen=True)
class Freeze:
    """No stage of the environment changes while it holds; `until` None: until it is lifted."""

    reason: str
    by: str
    at: datetime
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True)
class Environment:
    name: str
    stages: tuple[str, ...]
    description: str
    created_at: datetime
    freeze: Freeze | None = None


@dataclass(frozen=True)
class Assignment:
    """The current version of one stage.

    `revision` counts the changes of this (environment, model, stage) from 1 and never goes back.
    """

    environment: str
    model: str
    stage: str
    version: int
    digest: str
    revision: int
    assigned_by: str
    assigned_at: datetime
    comment: str

    @property
    def tag(self) -> str:
        """The ETag of a hand-out, without quotes: another one for every change of the stage."""
        return stage_tag(Place(self.environment, self.model, self.stage), self.revision, self.digest)


def stage_tag(place: Place, revision: int, digest: str) -> str:
    text = f"{place.environment}\n{place.model}\n{place.stage}\n{revision}\n{digest}"
    return hashlib.sha256(text.encode()).hexdigest()
