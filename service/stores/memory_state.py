"""Everything a registry in memory holds: frozen records in plain dicts, so that a copy of the dicts is a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from service.domain.audit import AuditRow
from service.domain.environment import Assignment, Environment, Place
from service.domain.event import Event
from service.domain.history import Transition
from service.domain.identity import Token
from service.domain.importing import Import
from service.domain.instance import Instance
from service.domain.model import Manifest, ModelVersion
from service.domain.policy import PolicyVersion
from service.domain.policy_facts import Evaluation
from service.domain.promotion import Promotion
from service.domain.signature import Signature, SigningKey
from service.domain.uploading import Upload
from service.domain.webhook import Delivery, Webhook
from service.domain.workspace import Workspace
from service.exports.prompts import PromptRecord
from service.usecases.bytes_ports import Damage
from service.usecases.model_ports import LoggedModelInfo, Origin, RunInfo
from service.usecases.registration_ports import Registration
from service.usecases.stage_ports import Answer
from service.usecases.view_ports import Key, KnownVersion


@dataclass(frozen=True)
class HeldImport:
    """`received_key` is the import's key before its archive's digest was known; `same_as` answers for it."""

    import_: Import
    idempotency_key: str | None
    received_key: str
    same_as: str = ""


@dataclass(frozen=True)
class HeldModel:
    """`workspace` is empty for a model of the registry's own; `deleted` leaves the name free."""

    workspace: str
    created_at: datetime
    lineage: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class HeldVersion:
    """With what tells two imports of the same original apart."""

    version: ModelVersion
    workspace: str
    original_model: str
    original_version: str
    tags: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class HeldRegistration:
    """`state` is pending, ready, failed or deleted."""

    registration: Registration
    state: str = "pending"


@dataclass(frozen=True)
class MlflowModel:
    """What MLflow's registry says of a model; `versions` are those that only MLflow knows."""

    versions: frozenset[int] = frozenset()
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    creation_time: int | None = None
    last_updated_time: int | None = None


@dataclass(frozen=True)
class HeldPrompt:
    """A version of a prompt, with what tells two imports of the same original apart."""

    workspace: str
    record: PromptRecord


@dataclass(frozen=True)
class HeldAnswer:
    """`answer` is None until the transaction that claimed the key writes it."""

    fingerprint: str
    at: datetime
    answer: Answer | None


@dataclass(frozen=True)
class HeldEvent:
    event: Event
    handed_on: bool


@dataclass
class State:
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    tokens: dict[bytes, Token] = field(default_factory=dict)
    imports: dict[str, HeldImport] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    queued: dict[str, None] = field(default_factory=dict)
    runs: dict[str, RunInfo] = field(default_factory=dict)
    original_runs: dict[tuple[str, str], str] = field(default_factory=dict)
    logged_models: dict[tuple[str, str], str] = field(default_factory=dict)
    params: dict[str, Mapping[str, str]] = field(default_factory=dict)
    metrics: dict[str, Mapping[str, float]] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], tuple[Evaluation, ...]] = field(default_factory=dict)
    traces: dict[str, None] = field(default_factory=dict)
    experiments: dict[str, frozenset[str]] = field(default_factory=dict)
    models: dict[str, HeldModel] = field(default_factory=dict)
    mlflow_models: dict[str, MlflowModel] = field(default_factory=dict)
    versions: dict[tuple[str, int], HeldVersion] = field(default_factory=dict)
    known: dict[Key, KnownVersion] = field(default_factory=dict)
    registrations: dict[Key, HeldRegistration] = field(default_factory=dict)
    registering: dict[Key, None] = field(default_factory=dict)
    logged_models_by_id: dict[str, LoggedModelInfo] = field(default_factory=dict)
    experiment_origins: dict[tuple[str, str, str], Origin] = field(default_factory=dict)
    logged_model_origins: dict[tuple[str, str], Origin] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    damages: dict[tuple[str, str], Damage] = field(default_factory=dict)
    tars: dict[str, str] = field(default_factory=dict)
    prompts: dict[tuple[str, int], HeldPrompt] = field(default_factory=dict)
    assignments: dict[Place, Assignment] = field(default_factory=dict)
    signatures: dict[tuple[str, str], Signature] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    ended_sessions: dict[str, datetime] = field(default_factory=dict)
    claims: dict[tuple[str, str], datetime] = field(default_factory=dict)
    marks: dict[str, datetime] = field(default_factory=dict)
    verified: dict[str, datetime] = field(default_factory=dict)
    instances: dict[tuple[Place, str], Instance] = field(default_factory=dict)
    audit: dict[int, AuditRow] = field(default_factory=dict)
    events: dict[str, HeldEvent] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    jobs: dict[int, tuple[str, str]] = field(default_factory=dict)
    policies: dict[tuple[str, str, int], PolicyVersion] = field(default_factory=dict)
    transitions: dict[Place, tuple[Transition, ...]] = field(default_factory=dict)
    promotions: dict[str, Promotion] = field(default_factory=dict)
    answers: dict[tuple[str, str], HeldAnswer] = field(default_factory=dict)

    def copy(self) -> State:
        return State(**{part.name: dict(getattr(self, part.name)) for part in fields(self)})

    def queue(self, task: str, subject: str = "") -> None:
        """A job for the worker, which nobody runs here."""
        self.jobs[len(self.jobs)] = (task, subject)

    def remove_webhook(self, webhook_id: str) -> None:
        """With its deliveries."""
        del self.webhooks[webhook_id]
        for delivery in [item for item in self.deliveries.values() if item.webhook_id == webhook_id]:
            del self.deliveries[delivery.id]
