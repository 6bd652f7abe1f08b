"""Write a registered model's description, tags and aliases, and record what that changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.domain.audit import Change
from service.domain.identity import Principal
from service.domain.model import RegisteredModel
from service.usecases.model_ports import ModelDetails
from service.usecases.ports import Transaction
from service.usecases.record_change import record


def set_details(
    tx: Transaction, by: Principal, workspace: str, name: str, details: ModelDetails, at: datetime, *, created: bool
) -> bool:
    """True when anything changed; `created` when the model was made in the same transaction, which is recorded so."""
    before = {} if created else _told(tx.models.get(name))
    changed = tx.models.set_details(name, details)
    after = _told(tx.models.get(name)) if changed or created else before
    if created:
        record(tx, Change("model.created", by, workspace=workspace, model=name, after=after), at)
    differing = [what for what in after if before.get(what) != after[what]]
    if differing and not created:
        old, new = ({what: side[what] for what in differing} for side in (before, after))
        record(tx, Change("model.changed", by, workspace=workspace, model=name, before=old, after=new), at)
    return changed


def _told(model: RegisteredModel) -> dict[str, Any]:
    return {"description": model.description, "tags": dict(model.tags), "aliases": dict(model.aliases)}
