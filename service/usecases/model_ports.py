"""What the use cases need of models, versions and where they come from; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from service.domain.model import Manifest, ModelVersion, RegisteredModel, Withdrawal
from service.exports.prompts import PromptRecord


class Models(Protocol):
    def get(self, name: str) -> RegisteredModel:
        """Raises NotFound(kind="model")."""
        ...

    def list(self) -> Sequence[RegisteredModel]: ...

    def version(self, model: str, version: int) -> ModelVersion:
        """Raises NotFound(kind="version"), also for one that was deleted or has no bytes yet."""
        ...

    def of_digest(self, model: str, digest: str) -> Sequence[ModelVersion]:
        """The model's versions with exactly these bytes, the highest number first. Raises NotFound(kind="model")."""
        ...

    def withdraw(self, model: str, version: int, withdrawal: Withdrawal | None) -> ModelVersion:
        """Set or take away the version's mark. Raises NotFound(kind="version")."""
        ...

    def delete_version(self, model: str, version: int, by: str, at: datetime) -> None:
        """Hide it for good, here and in MLflow's registry, with its aliases; its number stays taken.

        Raises NotFound(kind="version").
        """
        ...

    def delete(self, model: str, by: str, at: datetime) -> Sequence[int]:
        """The same for a model and every version of it, whose numbers are the answer; the name is free then.

        Raises NotFound(kind="model").
        """
        ...

    def rename(self, model: str, name: str, at: datetime) -> None:
        """Raises NotFound(kind="model"), Conflict for a name that any model or prompt has or had."""
        ...

    def was_in_a_stage(self, model: str) -> bool:
        """Whether a stage of any environment ever held a version of the model."""
        ...

    def numbers(self, model: str) -> Sequence[int]:
        """Of all versions that MLflow's registry shows, also those without bytes. Raises NotFound(kind="model")."""
        ...

    def manifest(self, digest: str) -> Manifest:
        """Raises NotFound(kind="digest")."""
        ...

    def has_manifest(self, digest: str) -> bool: ...

    def run(self, run_id: str) -> RunInfo:
        """Raises NotFound(kind="run")."""
        ...

    def logged_model_uri(self, run_id: str, name: str) -> str | None:
        """The artifact location of the run's last logged model of that name, None without one."""
        ...

    def logged_model(self, model_id: str) -> LoggedModelInfo:
        """Raises NotFound(kind="logged model"), also for one that was deleted."""
        ...

    def imported_run(self, workspace: str, original_run_id: str) -> RunInfo:
        """The run that the workspace knows by that id. Raises NotFound(kind="run")."""
        ...

    def owner(self, name: str) -> str | None:
        """The workspace that owns the name of a model or prompt; '' when MLflow has it without one; None when free."""
        ...

    def is_prompt(self, name: str) -> bool:
        """Whether imports made it a prompt, or MLflow before it was ours: no tag makes one of a model.

        A prompt never has versions with files, stages or a place in `list`.
        """
        ...

    def experiment_is_open_to(self, workspace: str, name: str) -> bool:
        """Whether an import of the workspace may write to the experiment of that name, or create it."""
        ...

    def own(self, name: str, workspace: str, created: int | None) -> bool:
        """Lock the model, creating it here and in MLflow's registry when the name is free; true when created.

        Raises Conflict when another workspace owns the name, or when it is a prompt's.
        """
        ...

    def set_details(self, name: str, details: ModelDetails) -> bool:
        """Write a registered model's description, tags and aliases; those it has and `details` lacks stay.

        True when anything changed. Details of an older export than the last one change nothing.
        """
        ...

    def update_version(self, version: ModelVersion, new: NewVersion) -> bool:
        """Description, tags, stage and time of update as the source has them now; true when anything changed.

        Tags that it has and `new` lacks stay. An older export than the last one changes nothing.
        """
        ...

    def add_version(self, new: NewVersion) -> ModelVersion:
        """Number it, write it here and in MLflow's registry; the model is created when new.

        Raises Conflict when another workspace owns the model's name, or when it is a prompt's.
        """
        ...

    def add_prompt(self, new: NewPrompt) -> PromptVersion:
        """Number it and write it in MLflow's registry; one of the same original and template is brought up to date.

        Raises Conflict when another workspace owns the prompt's name, or when it is a model's.
        """
        ...


@dataclass(frozen=True)
class NewVersion:
    """A version to be registered; the files are already stored under the manifest's digest.

    `original_model` and `original_version` name the version this one was exported from, if any; its number
    is kept when free. Times are milliseconds since 1970.
    """

    model: str
    workspace: str
    manifest: Manifest
    run_id: str
    created_by: str
    flavors: Mapping[str, Any]
    signature: Mapping[str, Any] | None
    lineage: Mapping[str, Any]
    number: int | None = None
    original_model: str = ""
    original_version: str = ""
    description: str = ""
    user: str = ""
    run_link: str = ""
    tags: Mapping[str, str] | None = None
    creation_time: int | None = None
    last_updated_time: int | None = None
    status: str = "READY"
    status_message: str = ""


@dataclass(frozen=True)
class NewPrompt:
    """A version of a prompt for the central `name`; its number is kept when free."""

    name: str
    workspace: str
    import_id: str
    record: PromptRecord


@dataclass(frozen=True)
class PromptVersion:
    """`change` is created, updated or skipped."""

    name: str
    version: int
    change: str


@dataclass(frozen=True)
class RunInfo:
    """`workspace` is empty for a run that was logged here; `lineage` holds fields of Lineage."""

    run_id: str
    experiment_id: str
    workspace: str
    artifact_uri: str
    lineage: Mapping[str, Any]


@dataclass(frozen=True)
class LoggedModelInfo:
    """`run_id` is empty for one that no run made."""

    model_id: str
    run_id: str
    artifact_uri: str


@dataclass(frozen=True)
class ModelDetails:
    """Times are milliseconds since 1970; the earliest creation and the latest update are kept.

    `lineage` says where the model was: `original_model`, `exported_at`, permissions and newer fields.
    """

    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    creation_time: int | None = None
    last_updated_time: int | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What a thing here is called there; `lineage` is what its export said beside."""

    workspace: str
    original_id: str
    id: str
    name: str
    import_id: str
    lineage: Mapping[str, Any]


@dataclass(frozen=True)
class VersionOrigin:
    workspace: str
    original_model: str
    original_version: str
    model: str
    version: int
    digest: str


class Origins(Protocol):
    """Ids and names here for those there, and back; nothing found is an empty list."""

    def experiments(self, workspace: str, original_id: str) -> Sequence[Origin]:
        """By original id: several when a workspace's servers number alike. `name` is the central name."""
        ...

    def of_experiment(self, experiment_id: str) -> Sequence[Origin]:
        """By central id: several when exports were merged."""
        ...

    def logged_models(self, workspace: str, original_id: str) -> Sequence[Origin]: ...

    def of_logged_model(self, model_id: str) -> Sequence[Origin]: ...

    def models(self, workspace: str, original_name: str) -> Sequence[Origin]:
        """Registered models; `id` and `name` are the central name."""
        ...

    def versions(self, workspace: str, original_model: str, original_version: str) -> Sequence[VersionOrigin]:
        """Several when the source's bytes changed between exports, or it was imported under several names."""
        ...
