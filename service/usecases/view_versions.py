"""What models and versions look like in an environment. Whoever asks, and in whatever way, is answered from here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.environment import Assignment, Environment
from service.domain.errors import Conflict, InvalidInput, NotFound
from service.domain.layout import version_uri
from service.usecases.view_ports import Key, KnownVersion, Views

NONE = "None"
"""MLflow's name for being in no stage."""
LATEST = "latest"
"""The alias that MLflow keeps for the highest of the latest versions."""
DIGEST_TAG = "model_registry.digest"
NO_ENVIRONMENT = (
    "Stages belong to environments, and this address shows none: use the address /environments/<environment>, or set "
    "MODEL_REGISTRY_DEFAULT_ENVIRONMENT."
)
READY = "READY"
PENDING = "PENDING_REGISTRATION"
FAILED = "FAILED_REGISTRATION"


@dataclass(frozen=True)
class View:
    """Where one looks from: without an environment no version is in any stage.

    Whoever does not see `everything` sees the versions that are in the environment's stages, and no other.
    """

    environment: Environment | None
    everything: bool

    @property
    def stages(self) -> tuple[str, ...]:
        return self.environment.stages if self.environment else ()

    def require_environment(self) -> Environment:
        """Raises InvalidInput where there is none."""
        if self.environment is None:
            raise InvalidInput(NO_ENVIRONMENT, field="stage")
        return self.environment

    def canonical(self, stage: str) -> str:
        """The stage's own spelling. Raises InvalidInput for one that the environment does not have."""
        if stage.casefold() == NONE.casefold():
            return NONE
        environment = self.require_environment()
        for name in environment.stages:
            if name.casefold() == stage.casefold():
                return name
        raise InvalidInput(
            f"Environment {environment.name!r} has no stage {stage[:80]!r}; it has {', '.join(environment.stages)}.",
            field="stages",
        )


@dataclass(frozen=True)
class Seen:
    """A version in the view: the stage that it was asked for by, or that it was put into last."""

    known: KnownVersion
    stage: str
    aliases: tuple[str, ...]

    @property
    def tags(self) -> Mapping[str, str]:
        digest = self.known.digest
        return {**self.known.tags, DIGEST_TAG: digest} if digest else self.known.tags


class Sight:
    """Some models as the view shows them; what is read of them all is read at once."""

    def __init__(self, views: Views, view: View, models: Collection[str]) -> None:
        self._views = views
        self._view = view
        self._held: dict[str, list[Assignment]] = {}
        if view.environment is not None:
            for item in views.held(view.environment.name, models):
                self._held.setdefault(item.model, []).append(item)
        self._aliases = views.aliases(models)

    def require(self, model: str) -> None:
        """Raises NotFound(kind="model") for one that the view does not show."""
        if model not in (self._aliases if self._view.everything else self._held):
            where = f" in environment {self._view.environment.name!r}" if self._view.environment else ""
            raise NotFound("model", model, f"There is no model {model!r}{where}.")

    def aliases(self, model: str) -> Mapping[str, int]:
        """MLflow's own, without those that lead to a stage here.

        Stages are found by their names in lower case, but not listed: who copies the model elsewhere would copy them.
        """
        shadowed = {stage.lower() for stage in self._view.stages}
        return {
            alias: number
            for alias, number in self._aliases.get(model, {}).items()
            if alias.lower() not in shadowed and self._shows(model, number)
        }

    def latest(self, models: Sequence[str], stages: Iterable[str] = ()) -> dict[str, list[Seen]]:
        """By model, what each of the stages holds, of none the highest version; the lowest first. No stages: all."""
        wanted = {self._view.canonical(stage) for stage in stages} or {NONE, *self._view.stages}
        asked = [
            (model, item.version, item.stage)
            for model in models
            for item in self._in_order(model)
            if item.stage in wanted
        ]
        if NONE in wanted and self._view.everything:
            placed = [(item.model, item.version) for held in self._held.values() for item in held]
            asked += [(model, number, NONE) for model, number in self._views.highest(models, placed).items()]
        found: dict[str, list[Seen]] = {model: [] for model in models}
        for seen in self._seen(asked):
            found[seen.known.model].append(seen)
        for held in found.values():
            held.sort(key=lambda seen: seen.known.version)  # as MLflow lists them
        return found

    def by_alias(self, model: str, alias: str) -> Seen:
        """Raises NotFound(kind="alias"), and for a model that is not there."""
        self.require(model)
        for item in self._in_order(model):
            if item.stage.lower() == alias.lower():
                return self._one((model, item.version), item.stage)
        if alias.lower() == LATEST and (latest := self.latest([model])[model]):
            return max(latest, key=lambda seen: seen.known.version)
        number = self.aliases(model).get(alias)
        if number is None:
            raise NotFound("alias", alias, f"Model {model!r} has no alias {alias[:80]!r} here.")
        return self.one(model, number)

    def one(self, model: str, version: int) -> Seen:
        """Raises NotFound(kind="version"), and for a model that is not there."""
        self.require(model)
        if not self._shows(model, version):
            raise _no_version(model, version)
        return self._one((model, version), self._stage(model, version))

    def many(self, keys: Iterable[Key]) -> list[Seen]:
        """Those of the versions that the view shows."""
        return self._seen((*key, self._stage(*key)) for key in keys if self._shows(*key))

    def _one(self, key: Key, stage: str) -> Seen:
        found = self._seen([(*key, stage)])
        if not found:
            raise _no_version(*key)
        return found[0]

    def _seen(self, asked: Iterable[tuple[str, int, str]]) -> list[Seen]:
        listed = list(asked)
        known = self._views.versions({(model, number) for model, number, _ in listed})
        aliases = {model: self.aliases(model) for model, _, _ in listed}
        return [
            Seen(known[model, number], stage, tuple(alias for alias, of in aliases[model].items() if of == number))
            for model, number, stage in listed
            if (model, number) in known
        ]

    def _in_order(self, model: str) -> list[Assignment]:
        """What the stages that the environment has now hold, in their order."""
        order = {stage: place for place, stage in enumerate(self._view.stages)}
        return sorted(self._held.get(model, ()), key=lambda item: order.get(item.stage, len(order)))

    def _stage(self, model: str, version: int) -> str:
        held = [item for item in self._held.get(model, ()) if item.version == version]
        return max(held, key=lambda item: item.assigned_at).stage if held else NONE

    def _shows(self, model: str, version: int) -> bool:
        return self._view.everything or any(item.version == version for item in self._held.get(model, ()))


def download_uri(seen: Seen) -> str:
    """Where the version's frozen bytes are read. Raises Conflict when there are none."""
    known = seen.known
    if not known.digest:
        why = {
            PENDING: "is still being registered; wait until it is READY",
            FAILED: f"could not be registered: {known.status_message or 'its source had no files'}",
        }.get(known.status, "has no files in this registry")
        raise Conflict(f"Version {known.version} of {known.model!r} {why}.", version=known.version)
    return version_uri(known.digest)


def _no_version(model: str, version: int) -> NotFound:
    return NotFound("version", str(version), f"Model {model!r} has no version {version} here.")
