"""What the use cases need from the outside, as protocols; `service.stores` implements them.

Every store method raises `Unavailable` when the part behind it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from service.domain.audit import AuditQuery, AuditRow, Change
from service.domain.environment import Environment, Freeze
from service.domain.identity import Token
from service.domain.importing import Import, ImportState
from service.domain.model import Manifest, ModelVersion, RegisteredModel, Withdrawal
from service.domain.uploading import Upload
from service.domain.workspace import Workspace
from service.exports.evaluation import EvaluationDatasetRecord
from service.exports.prompts import PromptRecord
from service.exports.records import ExperimentRecord, LoggedModelRecord, RunRecord
from service.exports.spans import SpanRecord
from service.exports.traces import TraceRecord
from service.usecases.event_ports import Deliveries, Events, Webhooks
from service.usecases.policy_ports import Evidence, Policies
from service.usecases.stage_ports import Answers, Promotions, Stages

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class ObjectInfo:
    """`size` in bytes; `etag` as the store gives it, without quotes; `modified` when it was last put, if listed."""

    key: str
    size: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)


class ObjectStore(Protocol):
    """Objects under UTF-8 keys without a leading `/`. A put replaces; every read is of one whole put."""

    def put(self, key: str, data: BinaryIO, size: int | None = None) -> ObjectInfo:
        """Store all of `data`; `size` None means unknown. Memory stays flat. Nothing is stored if `data` raises."""
        ...

    def open(
        self, key: str, offset: int = 0, length: int | None = None, etag: str = ""
    ) -> AbstractContextManager[BinaryIO]:
        """Read from `offset`, nothing when that is beyond the end. Raises NotFound(kind="object").

        With an `etag`, raises Conflict when the object is of another put than that.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Raises NotFound(kind="object")."""
        ...

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
        """Objects whose keys begin with `prefix`, in any order; not recursive: by key, with `…/` for each folder.

        A folder has size 0, and is there as long as an object is below it.
        """
        ...

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy inside the store. Raises NotFound(kind="object")."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Absent keys are fine."""
        ...

    def presign(self, key: str, seconds: int, filename: str = "") -> str:
        """A URL with which anyone may GET the object for `seconds`, at the host clients see."""
        ...

    def check(self) -> None:
        """Raises Unavailable unless the store answers and the bucket is there."""
        ...


@dataclass(frozen=True)
class PartInfo:
    """A part that is there; `size` in bytes, `etag` without quotes."""

    number: int
    size: int
    etag: str


class PartStore(Protocol):
    """S3's multipart uploads: parts, numbered from 1, that become the object of a key when they are joined."""

    def begin(self, key: str) -> str:
        """The id of a new upload."""
        ...

    def presign(self, key: str, upload: str, number: int, seconds: int) -> str:
        """A URL with which anyone may PUT that part for `seconds`, at the host clients see."""
        ...

    def parts(self, key: str, upload: str) -> Sequence[PartInfo]:
        """At most MAX_PARTS, by number; of one sent twice within a second, any.

        Raises NotFound(kind="upload") when it was joined or ended.
        """
        ...

    def join(self, key: str, upload: str, parts: Sequence[PartInfo]) -> None:
        """Raises NotFound(kind="upload"), or Conflict when the store sees that a part has been replaced since."""
        ...

    def end(self, key: str, upload: str) -> None:
        """Forget the parts; an upload that is not there is fine."""
        ...


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
        """With its webhooks. Raises NotFound(kind="environment"), InUse when a stage has a version."""
        ...

    def freeze(self, name: str, freeze: Freeze | None) -> None:
        """Set or lift the freeze, after every change of a stage that is under way. Raises NotFound."""
        ...


class Tokens(Protocol):
    def add(self, token: Token, hash: bytes) -> None: ...

    def find(self, hash: bytes) -> Token | None: ...

    def list(self) -> Sequence[Token]: ...

    def held(self, ids: Collection[str]) -> Mapping[str, Token]:
        """The tokens of these ids that there are; they cannot be revoked before the transaction ends."""
        ...

    def revoke(self, token_id: str, at: datetime) -> Token:
        """Raises NotFound(kind="token"); revoking twice keeps the first time."""
        ...


class Imports(Protocol):
    def add(self, new: Import, idempotency_key: str | None) -> Import:
        """Insert and queue, or answer with the live import of the same key (compare ids).

        Raises Conflict when `idempotency_key` was used with another archive or other options.
        """
        ...

    def get(self, import_id: str) -> Import:
        """Raises NotFound(kind="import")."""
        ...

    def list(self, workspace: str | None, limit: int, before: str | None) -> Sequence[Import]:
        """Newest first; `before` is the id to go on after."""
        ...

    def start(self, import_id: str, at: datetime) -> Import | None:
        """received or running -> running, one attempt more; None when it is already final.

        The number of the attempt is its fence: what an earlier one writes afterwards is not taken.
        """
        ...

    def identify(self, import_id: str, attempt: int, archive_digest: str, key: str) -> Import:
        """Give a running import its archive's digest and key; or answer with the live import that has the key.

        In that case (compare ids) this one is final, and `get` answers with the other. A superseded attempt
        changes nothing. Raises NotFound.
        """
        ...

    def progress(self, import_id: str, attempt: int, progress: Mapping[str, int]) -> bool:
        """False, and nothing written, when the import is final or a later attempt has begun."""
        ...

    def finish(
        self,
        import_id: str,
        state: ImportState,
        at: datetime,
        report: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
        attempt: int | None = None,
    ) -> bool:
        """To a final state; false, and nothing written, when it already has one.

        With `attempt`, also when a later one has begun.
        """
        ...

    def retry(self, import_id: str) -> Import:
        """failed -> received, and queued again.

        Raises NotFound(kind="import"), Conflict when it has not failed or the same request came again meanwhile.
        """
        ...

    def requeue(self) -> Sequence[str]:
        """Queue every open import that has no job; answers with their ids."""
        ...


class Uploads(Protocol):
    def add(self, new: Upload) -> Upload:
        """Insert, or answer with the open one of the workspace with the same size and announced SHA-256."""
        ...

    def get(self, workspace: str, upload_id: str) -> Upload:
        """Raises NotFound(kind="upload"), also for one that is ending or of another workspace."""
        ...

    def count_open(self, workspace: str) -> int: ...

    def complete(self, upload_id: str) -> bool:
        """open -> completed; false, and nothing written, when it is not open."""
        ...

    def end(self, upload_id: str) -> bool:
        """open -> ending; false, and nothing written, when it is not open."""
        ...

    def unfinished(self, before: datetime) -> Sequence[Upload]:
        """Those that are open and expired `before` then, and those that are ending."""
        ...

    def delete(self, upload_id: str) -> None:
        """Forget one that is ending."""
        ...


class Models(Protocol):
    def get(self, name: str) -> RegisteredModel:
        """Raises NotFound(kind="model")."""
        ...

    def list(self) -> Sequence[RegisteredModel]: ...

    def version(self, model: str, version: int) -> ModelVersion:
        """Raises NotFound(kind="version")."""
        ...

    def of_digest(self, model: str, digest: str) -> Sequence[ModelVersion]:
        """The model's versions with exactly these bytes, the highest number first. Raises NotFound(kind="model")."""
        ...

    def withdraw(self, model: str, version: int, withdrawal: Withdrawal | None) -> ModelVersion:
        """Set or take away the version's mark. Raises NotFound(kind="version")."""
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

    def imported_run(self, workspace: str, original_run_id: str) -> RunInfo:
        """The run that the workspace knows by that id. Raises NotFound(kind="run")."""
        ...

    def owner(self, name: str) -> str | None:
        """The workspace that owns the name of a model or prompt; '' when MLflow has it without one; None when free."""
        ...

    def is_prompt(self, name: str) -> bool:
        """Whether imports made it a prompt: it never has versions with files, stages or a place in `list`."""
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


class References(Protocol):
    """What rows say about the bucket's folders, which end with a slash."""

    def unused(self, folders: Sequence[str]) -> Sequence[str]:
        """Those of `folders` that no row refers to; never one that is not of our own layout."""
        ...

    def hold(self) -> bool:
        """Whether no import runs; then none can start before the transaction ends."""
        ...


class Audit(Protocol):
    def append(self, change: Change, at: datetime) -> None:
        """Keep the change until the transaction ends; there it becomes the next rows of the chain."""
        ...

    def head(self) -> tuple[int, str]:
        """Number and hash of the last row; 0 and GENESIS without one."""
        ...

    def latest(self, wanted: AuditQuery, limit: int, before: int | None = None) -> Sequence[AuditRow]:
        """Newest first; `before` is the number of the row to go on after."""
        ...

    def chain(self, wanted: AuditQuery, limit: int, after: int = 0) -> Sequence[AuditRow]:
        """Oldest first, from behind the row `after`."""
        ...


class Transaction(Protocol):
    """One database transaction; rolled back unless the block ends without an error."""

    @property
    def workspaces(self) -> Workspaces: ...

    @property
    def environments(self) -> Environments: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def imports(self) -> Imports: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def models(self) -> Models: ...

    @property
    def stages(self) -> Stages: ...

    @property
    def origins(self) -> Origins: ...

    @property
    def references(self) -> References: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def promotions(self) -> Promotions: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def evidence(self) -> Evidence: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def events(self) -> Events: ...

    @property
    def webhooks(self) -> Webhooks: ...

    @property
    def deliveries(self) -> Deliveries: ...


class RegistryStore(Protocol):
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def check(self) -> None:
        """Raises Unavailable unless the database answers and both schemas are at head."""
        ...


class RunSpool(Protocol):
    """Rows of runs and traces on their way to the database, kept on local disk so that memory stays flat."""

    def add(self, run: RunRecord) -> None:
        """Raises ExportRefused when a value is longer than MLflow's tables take."""
        ...

    def add_spans(self, spans: Sequence[SpanRecord]) -> None: ...

    @property
    def rows(self) -> int: ...


class TrackingStore(Protocol):
    """MLflow's experiments, runs, logged models, traces and evaluation datasets, written in bulk."""

    def ids(self, workspace: str) -> AbstractContextManager[CentralIds]: ...

    def spool(self, ids: CentralIds) -> AbstractContextManager[RunSpool]: ...

    def write(self, tx: Transaction, batch: TrackingBatch, spool: RunSpool, ids: CentralIds) -> TrackingCounts:
        """Write all of it in the transaction. Raises IdsChanged when an id was taken since `ids` was asked."""
        ...


class CentralIds(Protocol):
    """Ids here for ids there: the same, unless another workspace or a run logged here has it already."""

    def run(self, original: str) -> str: ...

    def logged_model(self, original: str) -> str: ...

    def trace(self, original: str) -> str: ...

    def evaluation_dataset(self, original: str) -> str: ...


class IdsChanged(Exception):
    """Another import took an id first; plan again."""


@dataclass(frozen=True)
class TrackingBatch:
    """`experiments` pairs each record with its central name; all others name their experiment's id.

    `lineage` is kept with each run, by original run id; likewise that of experiments and logged models.
    """

    import_id: str
    workspace: str
    experiments: Sequence[tuple[ExperimentRecord, str]]
    runs: Sequence[RunRecord]
    logged_models: Sequence[LoggedModelRecord]
    traces: Sequence[TraceRecord]
    evaluation_datasets: Sequence[EvaluationDatasetRecord]
    lineage: Mapping[str, Mapping[str, Any]]
    experiment_lineage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    logged_model_lineage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class TrackingCounts:
    """By kind: how many were created, updated, and left as they were; the experiments by original id: (id, name).

    `failed` are rows of kind, name and reason: what could not be written, one for each.
    """

    created: Mapping[str, int]
    updated: Mapping[str, int]
    skipped: Mapping[str, int]
    experiments: Mapping[str, tuple[int, str]]
    failed: Sequence[Mapping[str, str]] = ()
