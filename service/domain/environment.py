"""An environment: where models are used, each with its own ordered stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

DEFAULT_STAGES = ("Staging", "Production", "Archived")


@dataclass(frozen=True)
class Environment:
    name: str
    stages: tuple[str, ...]
    description: str
    created_at: datetime


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
