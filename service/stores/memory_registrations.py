"""Versions that were asked for over MLflow's API, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.domain.errors import ConcurrentChange
from service.domain.model import Manifest, ModelVersion
from service.domain.refusals import is_a_prompt
from service.stores.memory_models import MemoryModels, known_version
from service.stores.memory_state import HeldRegistration, State
from service.stores.milliseconds import now_ms
from service.stores.plain import plain
from service.usecases.registration_ports import MAX_MESSAGE, NewRegistration, Registration
from service.usecases.view_ports import Key
from service.usecases.view_versions import FAILED, PENDING, READY


class MemoryRegistrations:
    def __init__(self, state: State, models: MemoryModels) -> None:
        self._state = state
        self._models = models

    def begin(self, asked: NewRegistration, wait: int = 0) -> Registration:
        if self._models.is_prompt(asked.model):
            raise is_a_prompt(asked.model, "name")
        self._models.own(asked.model, asked.workspace, None)
        number = self._models.free_number(asked.model)
        key = asked.model, number
        registration = Registration(number, 0, replace(asked, lineage=plain(asked.lineage)))
        self._state.registrations[key] = HeldRegistration(registration)
        new = asked.as_version(Manifest(()), {}, None, PENDING)
        self._state.known[key] = known_version(new, number, asked.source, now_ms())
        self._state.registering[key] = None
        return registration

    def start(self, model: str, version: int) -> Registration | None:
        held = self._state.registrations.get((model, version))
        if held is None or held.state != "pending":
            return None
        asked = replace(held.registration.asked, model=model)
        started = replace(held.registration, attempt=held.registration.attempt + 1, asked=asked)
        self._state.registrations[model, version] = replace(held, registration=started)
        return started

    def finish(
        self,
        registration: Registration,
        manifest: Manifest,
        flavors: Mapping[str, Any],
        signature: Mapping[str, Any] | None,
    ) -> ModelVersion:
        if not self._end(registration, "ready", status=READY):
            raise ConcurrentChange("Another attempt registers the version, or it was deleted.")
        new = registration.asked.as_version(manifest, flavors, signature, READY)
        return self._models.write(new, registration.version)

    def fail(self, registration: Registration, message: str) -> bool:
        return self._end(registration, "failed", status=FAILED, message=message[:MAX_MESSAGE])

    def requeue(self) -> Sequence[Key]:
        held = self._state.registrations.items()
        lost = [key for key, item in held if item.state == "pending" and key not in self._state.registering]
        self._state.registering.update(dict.fromkeys(lost))
        return lost

    def _end(self, registration: Registration, state: str, status: str, message: str | None = None) -> bool:
        key = registration.asked.model, registration.version
        held = self._state.registrations.get(key)
        if held is None or held.state != "pending" or held.registration.attempt != registration.attempt:
            return False
        self._state.registrations[key] = replace(held, state=state)
        known = self._state.known[key]
        self._state.known[key] = replace(known, status=status, status_message=message, updated=now_ms())
        return True
