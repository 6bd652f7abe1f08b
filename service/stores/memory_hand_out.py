"""What is handed out, of a registry in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.domain.audit import AuditQuery, AuditRow
from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.model import ModelVersion
from service.domain.refusals import no_stage
from service.stores.memory_registry import MemoryRegistry, MemoryTransaction
from service.usecases.hand_out_ports import Held, Holding, Logged, Read

V = TypeVar("V")


class MemoryHandOut:
    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry
        self._seen = 0

    def _read(self, secret: bytes, find: Callable[[MemoryTransaction], V]) -> Read[V]:
        with self._registry.transaction() as tx:
            found: V | NotFound
            try:
                found = find(tx)
            except NotFound as error:
                found = error
            return Read(1, tx.audit.head()[0], tx.tokens.find(secret), found)

    def stage(self, secret: bytes, place: Place) -> Read[tuple[Assignment, ModelVersion]]:
        return self._read(secret, lambda tx: tx.stages.current(*place))

    def held(self, secret: bytes, asked: Holding) -> Read[Held]:
        def find(tx: MemoryTransaction) -> Held:
            stages = tx.environments.get(asked.environment).stages
            if asked.stage and asked.stage not in stages:
                raise no_stage(asked.environment, asked.stage)
            held = [
                item
                for item in tx.stages.list(asked.environment)
                if asked.stage in ("", item.stage) and (not asked.models or item.model in asked.models)
            ]
            return Held(asked.environment, stages, held)

        return self._read(secret, find)

    def environment(self, secret: bytes, name: str) -> Read[tuple[str, ...]]:
        return self._read(secret, lambda tx: tx.environments.get(name).stages)

    def changes(self, after: int, limit: int) -> Sequence[Logged]:
        with self._registry.transaction() as tx:
            return [_logged(row) for row in tx.audit.chain(AuditQuery(), limit, after)]

    def stage_changes(self, environment: str, after: int, limit: int) -> Sequence[Logged]:
        with self._registry.transaction() as tx:
            rows = tx.audit.chain(AuditQuery(environment=environment), 2**31, after)
            return [_logged(row) for row in rows if row.action == "stage.changed"][:limit]

    def connections(self) -> int:
        return 1

    def listen(self, seconds: float) -> None:
        self._seen = self._registry.await_commit(self._seen, seconds)

    def close(self) -> None:
        """There is no connection."""


def _logged(row: AuditRow) -> Logged:
    after = row.after if row.action == "stage.changed" else None
    return Logged(row.seq, row.at, row.action, row.environment, row.model, row.subject, after)
