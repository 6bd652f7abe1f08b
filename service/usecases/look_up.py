"""One model as one environment shows it, read all at once: for the look-ups that every load of a model makes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.domain.environment import Assignment, Environment
from service.domain.errors import NotFound
from service.usecases.view_ports import Key, KnownVersion
from service.usecases.view_versions import Sight, View


@dataclass(frozen=True)
class Look:
    """What was read, as `service.usecases.view_ports.Views` tells it; `environment` is None when there is none."""

    environment: Environment | None
    held_: Sequence[Assignment]
    aliases_: Mapping[str, Mapping[str, int]]
    known: Mapping[Key, KnownVersion]
    top: Mapping[str, int]

    def held(self, environment: str, models: Collection[str]) -> Sequence[Assignment]:
        return self.held_

    def aliases(self, models: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        return self.aliases_

    def versions(self, keys: Collection[Key]) -> Mapping[Key, KnownVersion]:
        return {key: self.known[key] for key in keys if key in self.known}

    def highest(self, models: Collection[str], beside: Collection[Key]) -> Mapping[str, int]:
        return self.top


class Looks(Protocol):
    def look(self, environment: str, model: str, number: int = 0, alias: str = "") -> Look:
        """With what stages hold, the highest version beside, and the version of that number and of that alias.

        Raises Unavailable.
        """
        ...


def look_up(looks: Looks, environment: str, model: str, number: int = 0, alias: str = "", *, everything: bool) -> Sight:
    """The model in the environment's view, '' for none. Raises NotFound(kind="environment"), Unavailable."""
    found = looks.look(environment, model, number, alias)
    if environment and found.environment is None:
        raise NotFound("environment", environment)
    return Sight(found, View(found.environment, everything), [model])
