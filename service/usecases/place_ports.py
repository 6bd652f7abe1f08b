"""What the use cases need of workspaces, environments and tokens; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from service.domain.environment import Environment, Freeze
from service.domain.identity import Token
from service.domain.workspace import Workspace


class Workspaces(Protocol):
    def put(self, workspace: Workspace) -> bool:
        """Create or replace all but `created_at`; true when created."""
        ...

    def get(self, name: str) -> Workspace:
        """Raises NotFound(kind="workspace")."""
        ...

    def list(self) -> Sequence[Workspace]: ...

    def delete(self, name: str) -> None:
        """Raises NotFound(kind="workspace"), InUse when imports, uploads or models refer to it."""
        ...


class Environments(Protocol):
    def put(self, environment: Environment) -> bool:
        """Create or replace all but `created_at` and `freeze`; true when created.

        Raises InUse when a stage left out still has a version.
        """
        ...

    def get(self, name: str) -> Environment:
        """Raises NotFound(kind="environment")."""
        ...

    def list(self) -> Sequence[Environment]: ...

    def delete(self, name: str) -> None:
        """With its webhooks and instances. Raises NotFound(kind="environment"), InUse when a stage has a version."""
        ...

    def freeze(self, name: str, freeze: Freeze | None) -> None:
        """Set or lift the freeze, after every change of a stage that is under way. Raises NotFound."""
        ...


class Tokens(Protocol):
    def add(self, token: Token, hash: bytes) -> None: ...

    def find(self, hash: bytes) -> Token | None: ...

    def get(self, token_id: str) -> Token:
        """Raises NotFound(kind="token")."""
        ...

    def list(self) -> Sequence[Token]: ...

    def held(self, ids: Collection[str]) -> Mapping[str, Token]:
        """The tokens of these ids that there are; they cannot be revoked before the transaction ends."""
        ...

    def revoke(self, token_id: str, at: datetime) -> Token:
        """Raises NotFound(kind="token"); revoking twice keeps the first time."""
        ...
