"""Make a registered model of the registry's own, for an MLflow client."""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.identity import Principal
from service.domain.names import check_model_name
from service.usecases.model_ports import ModelDetails
from service.usecases.ports import Clock, Transaction
from service.usecases.set_details import set_details


def create_model(
    tx: Transaction, clock: Clock, by: Principal, name: str, description: str, tags: Mapping[str, str]
) -> bool:
    """False when the name is taken, by whomever. Raises InvalidInput for one that is no name."""
    check_model_name(name)
    if tx.models.owner(name) is not None or not tx.models.own(name, "", None):
        return False
    set_details(tx, by, "", name, ModelDetails(description, tags, {}), clock(), created=True)
    return True
