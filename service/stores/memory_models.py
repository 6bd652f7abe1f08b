"""Registered models and versions in memory, with as much of MLflow's side as the port speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from service.domain.errors import Conflict, NotFound
from service.domain.layout import version_uri
from service.domain.model import (
    Lineage,
    Manifest,
    ModelVersion,
    RegisteredModel,
    Withdrawal,
    free_number,
    is_older,
    restated,
)
from service.domain.refusals import (
    CHANGED_AT_ONCE,
    is_a_prompt,
    name_of_another_workspace,
    new_name_taken,
    no_version,
    prompt_name_taken,
)
from service.exports.prompts import RESERVED
from service.stores.memory_state import HeldModel, HeldPrompt, HeldVersion, MlflowModel, State
from service.stores.milliseconds import milliseconds, now_ms
from service.stores.plain import plain
from service.usecases.model_ports import (
    LoggedModelInfo,
    ModelDetails,
    NewPrompt,
    NewVersion,
    PromptVersion,
    RunInfo,
)
from service.usecases.view_ports import Key, KnownVersion


class MemoryModels:
    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, name: str) -> RegisteredModel:
        held = self._state.models.get(name)
        if held is None or held.deleted:
            raise NotFound("model", name)
        theirs = self._state.mlflow_models[name]
        return RegisteredModel(
            name=name,
            workspace=held.workspace,
            description=theirs.description,
            tags=dict(theirs.tags),
            aliases=dict(theirs.aliases),
            created_at=held.created_at,
            versions=tuple(
                sorted(key[1] for key, of in self._state.versions.items() if key[0] == name and not of.deleted)
            ),
        )

    def list(self) -> Sequence[RegisteredModel]:
        return [self.get(name) for name, held in sorted(self._state.models.items()) if not held.deleted]

    def version(self, model: str, version: int) -> ModelVersion:
        held = self._state.versions.get((model, version))
        if held is None or held.deleted:
            self.get(model)
            asked = self._state.registrations.get((model, version))
            raise no_version(model, version, asked.state if asked else None)
        return held.version

    def delete_version(self, model: str, version: int, by: str, at: datetime) -> None:
        if version not in self.numbers(model):
            raise no_version(model, version)
        self._bury((model, version))
        theirs = self._state.mlflow_models[model]
        left = {alias: number for alias, number in theirs.aliases.items() if number != version}
        self._state.mlflow_models[model] = replace(theirs, aliases=left)

    def _bury(self, key: Key) -> None:
        self._state.known.pop(key, None)
        if key in self._state.versions:
            self._state.versions[key] = replace(self._state.versions[key], deleted=True)
        if key in self._state.registrations:
            self._state.registrations[key] = replace(self._state.registrations[key], state="deleted")

    def delete(self, model: str, by: str, at: datetime) -> Sequence[int]:
        numbers = self.numbers(model)
        for key in [*self._state.versions, *self._state.registrations]:
            if key[0] == model:
                self._bury(key)
        del self._state.mlflow_models[model]
        if model in self._state.models:
            self._state.models[model] = replace(self._state.models[model], deleted=True)
        return numbers

    def rename(self, model: str, name: str, at: datetime) -> None:
        self.get(model)
        used = {*self._state.models, *self._state.mlflow_models, *(key[0] for key in self._state.registrations)}
        if name in used or self.is_prompt(name):
            raise new_name_taken(name)
        self._state.models[name] = self._state.models.pop(model)
        self._state.mlflow_models[name] = self._state.mlflow_models.pop(model)
        for key in [key for key in self._state.versions if key[0] == model]:
            held = self._state.versions.pop(key)
            self._state.versions[name, key[1]] = replace(held, version=replace(held.version, model=name))
        for key in [key for key in self._state.known if key[0] == model]:
            self._state.known[name, key[1]] = replace(self._state.known.pop(key), model=name)
        for key in [key for key in self._state.registrations if key[0] == model]:
            self._state.registrations[name, key[1]] = self._state.registrations.pop(key)

    def was_in_a_stage(self, model: str) -> bool:
        return any(place.model == model for place in self._state.transitions)

    def numbers(self, model: str) -> Sequence[int]:
        if model not in self._state.mlflow_models:
            raise NotFound("model", model)
        known = {number for name, number in self._state.known if name == model}
        return sorted(known | self._state.mlflow_models[model].versions)

    def of_digest(self, model: str, digest: str) -> Sequence[ModelVersion]:
        numbers = sorted(self.get(model).versions, reverse=True)
        return [found for found in (self.version(model, number) for number in numbers) if found.digest == digest]

    def withdraw(self, model: str, version: int, withdrawal: Withdrawal | None) -> ModelVersion:
        marked = replace(self.version(model, version), withdrawn=withdrawal)
        held = self._state.versions[model, version]
        self._state.versions[model, version] = replace(held, version=marked)
        return marked

    def manifest(self, digest: str) -> Manifest:
        if digest not in self._state.manifests:
            raise NotFound("digest", digest)
        return self._state.manifests[digest]

    def has_manifest(self, digest: str) -> bool:
        return digest in self._state.manifests

    def run(self, run_id: str) -> RunInfo:
        if run_id not in self._state.runs:
            raise NotFound("run", run_id)
        return self._state.runs[run_id]

    def logged_model_uri(self, run_id: str, name: str) -> str | None:
        return self._state.logged_models.get((run_id, name))

    def logged_model(self, model_id: str) -> LoggedModelInfo:
        if model_id not in self._state.logged_models_by_id:
            raise NotFound("logged model", model_id)
        return self._state.logged_models_by_id[model_id]

    def imported_run(self, workspace: str, original_run_id: str) -> RunInfo:
        run_id = self._state.original_runs.get((workspace, original_run_id))
        if run_id is None:
            raise NotFound("run", original_run_id)
        return self.run(run_id)

    def owner(self, name: str) -> str | None:
        held = self._state.models.get(name)
        if held is not None and not held.deleted:
            return held.workspace
        for (prompt, _), version in self._state.prompts.items():
            if prompt == name:
                return version.workspace
        return "" if name in self._state.mlflow_models else None

    def is_prompt(self, name: str) -> bool:
        if any(prompt == name for prompt, _ in self._state.prompts):
            return True
        held, theirs = self._state.models.get(name), self._state.mlflow_models.get(name)
        tagged = theirs is not None and theirs.tags.get(RESERVED[0]) == "true"
        return tagged and (held is None or held.deleted)

    def experiment_is_open_to(self, workspace: str, name: str) -> bool:
        owners = self._state.experiments.get(name)
        return owners is None or owners == {workspace}

    def own(self, name: str, workspace: str, created: int | None) -> bool:
        if workspace and workspace not in self._state.workspaces:
            raise Conflict(CHANGED_AT_ONCE)
        held = self._state.models.get(name)
        made = held is None or held.deleted
        if made and self.is_prompt(name):
            raise is_a_prompt(name, "model_name")
        if self.owner(name) not in (None, workspace):
            raise name_of_another_workspace(name)
        if made:
            self._state.models[name] = HeldModel(workspace, datetime.now(UTC))
        at = created or now_ms()
        self._state.mlflow_models.setdefault(name, MlflowModel(creation_time=at, last_updated_time=at))
        return made

    def set_details(self, name: str, details: ModelDetails) -> bool:
        known = self._state.mlflow_models.get(name)
        held = self._state.models.get(name)
        last = held.lineage.get("exported_at") if held else None
        if known is None or is_older(details.lineage, last):
            return False
        if held is not None and details.lineage:
            self._state.models[name] = replace(held, lineage=plain(details.lineage))
        self._state.mlflow_models[name] = replace(
            known,
            description=details.description or known.description,
            tags={**known.tags, **details.tags},
            aliases={**known.aliases, **details.aliases},
            creation_time=_pick(min, known.creation_time, details.creation_time),
            last_updated_time=_pick(max, known.last_updated_time, details.last_updated_time),
        )
        return self._state.mlflow_models[name] != known

    def update_version(self, version: ModelVersion, new: NewVersion) -> bool:
        if is_older(new.lineage, version.lineage.exported_at):
            return False
        held = self._state.versions[version.model, version.version]
        changed = replace(
            held,
            version=replace(
                version, description=new.description, lineage=replace(version.lineage, **plain(restated(new.lineage)))
            ),
            tags={**held.tags, **(new.tags or {})},
        )
        self._state.versions[version.model, version.version] = changed
        known = self._state.known[version.model, version.version]
        updated = replace(
            known,
            description=new.description or None,
            status=new.status,
            updated=_pick(max, known.updated, new.last_updated_time),
        )
        self._state.known[version.model, version.version] = updated
        before = (version.description, version.lineage.original_stage, held.tags, known)
        return before != (new.description, changed.version.lineage.original_stage, changed.tags, updated)

    def add_version(self, new: NewVersion) -> ModelVersion:
        self.own(new.model, new.workspace, new.creation_time)
        existing = self._already(new)
        if existing is not None:
            return existing
        version = self.write(new, self.free_number(new.model, new.number))
        self._state.known[version.model, version.version] = known_version(
            new, version.version, version_uri(version.digest), milliseconds(version.created_at)
        )
        return version

    def write(self, new: NewVersion, number: int) -> ModelVersion:
        """Our record and the manifest."""
        version = ModelVersion(
            model=new.model,
            version=number,
            digest=new.manifest.digest,
            size=new.manifest.size,
            run_id=new.run_id,
            description=new.description,
            created_by=new.created_by,
            created_at=datetime.now(UTC),
            flavors=plain(new.flavors),
            signature=plain(new.signature),
            lineage=Lineage.of(plain(new.lineage)),
        )
        self._state.manifests[version.digest] = new.manifest
        held = HeldVersion(version, new.workspace, new.original_model, new.original_version, dict(new.tags or {}))
        self._state.versions[version.model, version.version] = held
        return version

    def add_prompt(self, new: NewPrompt) -> PromptVersion:
        if self.owner(new.name) not in (None, new.workspace) or (
            self.owner(new.name) is not None and not self.is_prompt(new.name)
        ):
            raise prompt_name_taken(new.name)
        record = new.record
        for (name, number), held in self._state.prompts.items():
            known = held.record
            if (name, known.name, known.version, known.digest) == (
                *(new.name, record.name, record.version, record.digest),
            ):
                changed = dict(record.tags).items() - dict(known.tags).items()
                tags = {**known.tags, **record.tags}
                self._state.prompts[name, number] = replace(held, record=replace(known, tags=tags))
                return PromptVersion(name, number, "updated" if changed else "skipped")
        taken = {number for name, number in self._state.prompts if name == new.name}
        number = free_number(taken, record.version)
        self._state.prompts[new.name, number] = HeldPrompt(new.workspace, record)
        return PromptVersion(new.name, number, "created")

    def _already(self, new: NewVersion) -> ModelVersion | None:
        for held in self._state.versions.values():
            if (
                new.original_version
                and not held.deleted
                and (held.version.model, held.version.digest) == (new.model, new.manifest.digest)
                and (held.workspace, held.original_model, held.original_version)
                == (new.workspace, new.original_model, new.original_version)
            ):
                return held.version
        return None

    def free_number(self, model: str, wanted: int | None = None) -> int:
        """One that no version has or had."""
        taken = {number for name, number in (*self._state.versions, *self._state.registrations) if name == model}
        taken |= self._state.mlflow_models[model].versions
        return free_number(taken, wanted)


def _pick(which: Callable[[Sequence[int]], int], *times: int | None) -> int | None:
    """The one of these times, as far as they are known."""
    said = [time for time in times if time is not None]
    return which(said) if said else None


def known_version(new: NewVersion, number: int, source: str, now: int) -> KnownVersion:
    """As MLflow's row has it; `now` is in milliseconds since 1970."""
    created = new.creation_time or now
    return KnownVersion(
        model=new.model,
        version=number,
        created=created,
        updated=new.last_updated_time or created,
        description=new.description or None,
        user=new.user or None,
        source=source,
        run_id=new.run_id or None,
        run_link=new.run_link or None,
        status=new.status,
        status_message=new.status_message or None,
        tags=dict(new.tags or {}),
    )
