"""Workspaces, environments and tokens in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.environment import Environment, Freeze
from service.domain.errors import Conflict, InUse, NotFound
from service.domain.identity import Token
from service.domain.workspace import Workspace
from service.stores.memory_state import State


class MemoryWorkspaces:
    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, workspace: Workspace) -> bool:
        known = self._state.workspaces.get(workspace.name)
        if known is not None:
            workspace = replace(workspace, created_at=known.created_at)
        self._state.workspaces[workspace.name] = workspace
        return known is None

    def get(self, name: str) -> Workspace:
        if name not in self._state.workspaces:
            raise NotFound("workspace", name)
        return self._state.workspaces[name]

    def list(self) -> Sequence[Workspace]:
        return sorted(self._state.workspaces.values(), key=lambda workspace: workspace.name)

    def delete(self, name: str) -> None:
        self.get(name)
        named = [
            *(held.import_.workspace for held in self._state.imports.values()),
            *(upload.workspace for upload in self._state.uploads.values()),
            *(model.workspace for model in self._state.models.values()),
        ]
        if name in named:
            raise InUse(f"Workspace {name!r} has imports, uploads or models, whose lineage names it.", workspace=name)
        del self._state.workspaces[name]


class MemoryEnvironments:
    def __init__(self, state: State) -> None:
        self._state = state

    def put(self, environment: Environment) -> bool:
        known = self._state.environments.get(environment.name)
        if known is not None:
            environment = replace(environment, created_at=known.created_at, freeze=known.freeze)
        for held in self._state.assignments.values():
            if held.environment == environment.name and held.stage not in environment.stages:
                raise InUse(
                    f"Stage {held.stage!r} cannot be left out: it holds a version of model {held.model!r}.",
                    field="stages",
                )
        self._state.environments[environment.name] = environment
        return known is None

    def get(self, name: str) -> Environment:
        if name not in self._state.environments:
            raise NotFound("environment", name)
        return self._state.environments[name]

    def freeze(self, name: str, freeze: Freeze | None) -> None:
        self._state.environments[name] = replace(self.get(name), freeze=freeze)

    def list(self) -> Sequence[Environment]:
        return sorted(self._state.environments.values(), key=lambda environment: environment.name)

    def delete(self, name: str) -> None:
        self.get(name)
        if any(held.environment == name for held in self._state.assignments.values()):
            raise InUse(f"Stages of environment {name!r} hold versions.", environment=name)
        for webhook in [held for held in self._state.webhooks.values() if held.environment == name]:
            self._state.remove_webhook(webhook.id)
        for instance in [key for key in self._state.instances if key[0].environment == name]:
            del self._state.instances[instance]
        del self._state.environments[name]
        for key in [key for key in self._state.policies if key[0] == name]:
            del self._state.policies[key]


class MemoryTokens:
    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, token: Token, hash: bytes) -> None:
        if hash in self._state.tokens or any(known.id == token.id for known in self._state.tokens.values()):
            raise Conflict("There is such a token already.")
        self._state.tokens[hash] = token

    def find(self, hash: bytes) -> Token | None:
        return self._state.tokens.get(hash)

    def get(self, token_id: str) -> Token:
        for token in self._state.tokens.values():
            if token.id == token_id:
                return token
        raise NotFound("token", token_id)

    def list(self) -> Sequence[Token]:
        return sorted(self._state.tokens.values(), key=lambda token: (token.created_at, token.id))

    def held(self, ids: Collection[str]) -> Mapping[str, Token]:
        return {token.id: token for token in self._state.tokens.values() if token.id in ids}

    def revoke(self, token_id: str, at: datetime) -> Token:
        for hash, token in self._state.tokens.items():
            if token.id == token_id:
                revoked = replace(token, revoked_at=token.revoked_at or at)
                self._state.tokens[hash] = revoked
                return revoked
        raise NotFound("token", token_id)
