"""Instances in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.environment import Place
from service.domain.errors import NotFound
from service.domain.instance import Instance
from service.domain.refusals import too_many_instances
from service.stores.memory_state import State
from service.usecases.instance_ports import InstanceCount


class MemoryInstances:
    def __init__(self, state: State) -> None:
        self._state = state

    def report(self, instance: Instance, most: int) -> Instance:
        key = (instance.place, instance.id)
        known = self._state.instances.get(key)
        if known is None and len(self._at(instance.place)) >= most:
            raise too_many_instances(most)
        if known is not None and known.digest == instance.digest:
            instance = replace(instance, since=known.since)
        self._state.instances[key] = instance
        return self._told(instance)

    def list(self, place: Place, limit: int, after: str) -> Sequence[Instance]:
        found = [self._told(instance) for instance in self._at(place) if instance.id > after]
        return sorted(found, key=lambda instance: instance.id)[:limit]

    def counts(self, place: Place, now: datetime) -> Sequence[InstanceCount]:
        told = [self._told(instance) for instance in self._at(place)]
        tally = Counter((each.digest, each.version, each.lease_end <= now) for each in told)
        return [InstanceCount(*key, count=count) for key, count in tally.items()]

    def delete(self, place: Place, instance_id: str) -> None:
        if self._state.instances.pop((place, instance_id), None) is None:
            raise NotFound("instance", instance_id)

    def forget(self, before: datetime) -> int:
        old = [key for key, instance in self._state.instances.items() if instance.lease_end < before]
        for key in old:
            del self._state.instances[key]
        return len(old)

    def _at(self, place: Place) -> Sequence[Instance]:
        return [instance for (where, _), instance in self._state.instances.items() if where == place]

    def _told(self, instance: Instance) -> Instance:
        versions = (held.version for held in self._state.versions.values() if not held.deleted)
        same = [v.version for v in versions if (v.model, v.digest) == (instance.place.model, instance.digest)]
        return replace(instance, version=max(same, default=None))
