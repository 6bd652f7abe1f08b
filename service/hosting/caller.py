"""Who sends a request to the hosted registry, and for which environment: MLflow's stores learn it from the request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from flask import request

from service.domain.environment import Environment
from service.domain.identity import Principal, Scope
from service.hosting.decisions import sees_everything
from service.usecases.ports import Transaction
from service.usecases.view_versions import View
from service.wiring import Parts

_KEY = "model_registry.caller"


@dataclass(frozen=True)
class Caller:
    """`environment` is the one whose address was called, or that of the root; None where there is none."""

    parts: Parts
    principal: Principal
    environment: Environment | None

    @property
    def view(self) -> View:
        return View(self.environment, sees_everything(self.principal))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.parts.store.transaction() as tx:
            yield tx

    def require_promote(self) -> Environment:
        """The environment, in which the caller may promote. Raises InvalidInput, NotAllowed."""
        environment = self.view.require_environment()
        self.principal.require(Scope("promote", environment.name))
        return environment

    def attach(self, environ: dict[str, Any]) -> None:
        environ[_KEY] = self


def caller() -> Caller:
    """Of the current request."""
    return cast(Caller, request.environ[_KEY])
