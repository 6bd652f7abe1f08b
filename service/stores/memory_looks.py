"""One model as one environment shows it, from a registry in memory."""

from __future__ import annotations

from contextlib import suppress

from service.domain.errors import NotFound
from service.stores.memory_registry import MemoryRegistry
from service.usecases.look_up import Look


class MemoryLooks:
    """Implements `service.usecases.look_up.Looks`."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry

    def look(self, environment: str, model: str, number: int = 0, alias: str = "") -> Look:
        with self._registry.transaction() as tx:
            found = None
            with suppress(NotFound):
                found = tx.environments.get(environment)
            held = tx.views.held(environment, [model])
            aliases = tx.views.aliases([model])
            top = tx.views.highest([model], [(model, item.version) for item in held])
            numbers = {number, aliases.get(model, {}).get(alias, 0), *top.values(), *(item.version for item in held)}
            return Look(found, held, aliases, tx.views.versions([(model, each) for each in numbers]), top)
