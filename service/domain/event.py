"""Events: what changed, for whoever wants to hear of it without asking."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

EVENT_TYPES = {
    "stage.changed": "a stage of an environment holds another version, or none",
    "promotion.requested": "a promotion waits for approvals",
    "promotion.approved": "somebody approved a promotion",
    "promotion.rejected": "somebody rejected a promotion",
    "promotion.refused": "a rule of the environment refused a promotion",
    "promotion.cancelled": "a promotion was taken back",
    "promotion.expired": "a promotion did not get its approvals in time",
    "promotion.superseded": "the stage changed while a promotion to it waited",
    "promotion.applied": "a promotion changed its stage",
    "version.registered": "a model has a new version",
    "version.withdrawn": "a version may not be used any more",
    "version.reinstated": "a withdrawn version may be used again",
    "bytes.damaged": "a stored file of a version is missing or not the registered one",
    "policy.changed": "the rules of an environment or of a model in it are others",
    "environment.frozen": "the stages of an environment do not change for a while",
    "environment.unfrozen": "the stages of an environment may change again",
    "import.done": "an export was taken in",
    "import.refused": "an export cannot be taken in",
    "import.failed": "the registry failed to take an export in",
}
"""Stable names; a webhook may ask for some of them."""
TEST_EVENT = "webhook.test"


@dataclass(frozen=True)
class Event:
    """One change. `environment`, `workspace` and `model` are empty where it is about none."""

    type: str
    at: datetime
    environment: str = ""
    workspace: str = ""
    model: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def document(self) -> bytes:
        """The JSON that receivers get (ASCII, keys sorted): the same bytes each time."""
        rows = {
            "id": self.id,
            "type": self.type,
            "timestamp": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "environment": self.environment,
            "workspace": self.workspace,
            "model": self.model,
            "data": self.data,
        }
        return json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()
