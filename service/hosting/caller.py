"""Who sends a request to the hosted registry, and for which environment: MLflow's stores learn it from the request."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from flask import request

from service.domain.environment import Environment
from service.domain.identity import Principal, Scope
from service.hosting.decisions import sees_everything
from service.usecases.ports import Transaction
from service.usecases.view_versions import Sight, View
from service.wiring import Parts

_KEY = "model_registry.caller"


@dataclass(frozen=True)
class Caller:
    """`name` is that of the environment whose address was called, or of the root's; '' where there is none."""

    parts: Parts
    principal: Principal
    name: str

    @cached_property
    def environment(self) -> Environment | None:
        """Raises NotFound(kind="environment")."""
        with self.transaction() as tx:
            return self._environment(tx)

    def _environment(self, tx: Transaction) -> Environment | None:
        return tx.environments.get(self.name) if self.name else None

    @property
    def view(self) -> View:
        return View(self.environment, sees_everything(self.principal))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.parts.store.transaction() as tx:
            yield tx

    @contextmanager
    def sight(self, models: Collection[str]) -> Iterator[Sight]:
        """These models as the caller sees them, in one transaction."""
        with self.transaction() as tx:
            yield Sight(tx.views, View(self._environment(tx), sees_everything(self.principal)), models)

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
