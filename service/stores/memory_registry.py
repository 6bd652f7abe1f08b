"""The registry's rows in memory, for unit tests: what `service.stores.postgres` promises, without a server."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from service.domain.errors import NotFound
from service.domain.history import Transition
from service.domain.layout import folder_of, logged_model_of
from service.domain.policy_facts import Evaluation
from service.stores.memory_audit import MemoryAudit
from service.stores.memory_bytes import MemoryDamages, MemoryTars
from service.stores.memory_events import MemoryDeliveries, MemoryEvents, MemoryWebhooks
from service.stores.memory_evidence import MemoryEvidence
from service.stores.memory_garbage import MemoryChecks, MemoryClaims, MemoryGarbage
from service.stores.memory_imports import MemoryImports
from service.stores.memory_instances import MemoryInstances
from service.stores.memory_models import MemoryModels
from service.stores.memory_origins import MemoryOrigins
from service.stores.memory_places import MemoryEnvironments, MemoryTokens, MemoryWorkspaces
from service.stores.memory_policies import MemoryPolicies
from service.stores.memory_promotions import MemoryAnswers, MemoryPromotions
from service.stores.memory_references import MemoryReferences
from service.stores.memory_registrations import MemoryRegistrations
from service.stores.memory_sessions import MemoryEndedSessions
from service.stores.memory_signatures import MemorySignatures
from service.stores.memory_stages import MemoryStages
from service.stores.memory_state import MlflowModel, State
from service.stores.memory_uploads import MemoryUploads
from service.stores.memory_views import MemoryViews
from service.usecases.model_ports import LoggedModelInfo, Origin, RunInfo


@dataclass(frozen=True)
class MemoryTransaction:
    """Works on a copy of everything, which takes the original's place at the end."""

    state: State
    workspaces: MemoryWorkspaces
    environments: MemoryEnvironments
    tokens: MemoryTokens
    imports: MemoryImports
    uploads: MemoryUploads
    models: MemoryModels
    stages: MemoryStages
    views: MemoryViews
    registrations: MemoryRegistrations
    origins: MemoryOrigins
    references: MemoryReferences
    instances: MemoryInstances
    signatures: MemorySignatures
    ended_sessions: MemoryEndedSessions
    claims: MemoryClaims
    garbage: MemoryGarbage
    checks: MemoryChecks
    damages: MemoryDamages
    tars: MemoryTars
    policies: MemoryPolicies
    evidence: MemoryEvidence
    audit: MemoryAudit
    events: MemoryEvents
    webhooks: MemoryWebhooks
    deliveries: MemoryDeliveries
    promotions: MemoryPromotions
    answers: MemoryAnswers

    @classmethod
    def over(cls, state: State) -> MemoryTransaction:
        environments = MemoryEnvironments(state)
        models = MemoryModels(state)
        return cls(
            state=state,
            workspaces=MemoryWorkspaces(state),
            environments=environments,
            tokens=MemoryTokens(state),
            imports=MemoryImports(state),
            uploads=MemoryUploads(state),
            models=models,
            stages=MemoryStages(state, environments, models),
            views=MemoryViews(state),
            registrations=MemoryRegistrations(state, models),
            origins=MemoryOrigins(state),
            references=MemoryReferences(state),
            instances=MemoryInstances(state),
            signatures=MemorySignatures(state),
            ended_sessions=MemoryEndedSessions(state),
            claims=MemoryClaims(state),
            garbage=MemoryGarbage(state),
            checks=MemoryChecks(state),
            damages=MemoryDamages(state),
            tars=MemoryTars(state),
            policies=MemoryPolicies(state, environments, models),
            evidence=MemoryEvidence(state),
            audit=MemoryAudit(state),
            events=MemoryEvents(state),
            webhooks=MemoryWebhooks(state, environments),
            deliveries=MemoryDeliveries(state),
            promotions=MemoryPromotions(state),
            answers=MemoryAnswers(state),
        )


class MemoryRegistry:
    """Implements `service.usecases.ports.RegistryStore`; transactions take turns.

    What a tracking store or MLflow's own clients would write is put there with the `add_…` methods.
    """

    def __init__(self) -> None:
        self._state = State()
        self._turn = threading.Lock()
        self._owner: int | None = None
        self._committed = threading.Condition()
        self._commits = 0

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction was opened inside a transaction of the same thread")
        with self._turn:
            self._owner = threading.get_ident()
            try:
                working = self._state.copy()
                tx = MemoryTransaction.over(working)
                yield tx
                tx.events.flush()
                tx.audit.flush()
                self._state = working.copy()
            finally:
                self._owner = None
        with self._committed:
            self._commits += 1
            self._committed.notify_all()

    def await_commit(self, seen: int, seconds: float) -> int:
        """How many commits there were, once it is not `seen` any more or the time is over."""
        with self._committed:
            self._committed.wait_for(lambda: self._commits != seen, seconds)
            return self._commits

    def check(self) -> None:
        """Memory is always there."""

    def add_run(self, run: RunInfo, original_run_id: str = "") -> None:
        """A run that was logged here, or imported when its workspace is given; `original_run_id` "" is its own id."""
        with self.transaction() as tx:
            tx.state.runs[run.run_id] = run
            if run.workspace:
                tx.state.original_runs[run.workspace, original_run_id or run.run_id] = run.run_id

    def add_logged_model(self, run_id: str, name: str, uri: str) -> None:
        """A logged model that the run made; the last one of a name counts. Raises NotFound(kind="run")."""
        with self.transaction() as tx:
            if run_id not in tx.state.runs:
                raise NotFound("run", run_id)
            tx.state.logged_models[run_id, name] = uri
            model_id = logged_model_of(folder_of(uri) or "") or f"m-{len(tx.state.logged_models_by_id)}"
            tx.state.logged_models_by_id[model_id] = LoggedModelInfo(model_id, run_id, uri)

    def add_measurements(self, run_id: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """The run's params and latest metrics. Raises NotFound(kind="run")."""
        with self.transaction() as tx:
            if run_id not in tx.state.runs:
                raise NotFound("run", run_id)
            tx.state.params[run_id] = dict(params)
            tx.state.metrics[run_id] = dict(metrics)

    def add_evaluations(self, run_id: str, name: str, evaluations: Iterable[Evaluation]) -> None:
        """Metrics of the run's logged model of that name, oldest first."""
        with self.transaction() as tx:
            tx.state.evaluations[run_id, name] = tuple(evaluations)

    def add_version_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        with self.transaction() as tx:
            held = tx.state.versions[model, version]
            tx.state.versions[model, version] = replace(held, tags={**held.tags, **tags})

    def add_trace(self, trace_id: str) -> None:
        with self.transaction() as tx:
            tx.state.traces[trace_id] = None

    def add_experiment(self, name: str, workspaces: Iterable[str] = ()) -> None:
        """An experiment to which imports of these workspaces have written; none for one that was made here."""
        with self.transaction() as tx:
            tx.state.experiments[name] = frozenset(workspaces)

    def add_experiment_origin(self, origin: Origin) -> None:
        """What an import remembered of an experiment."""
        with self.transaction() as tx:
            tx.state.experiment_origins[origin.workspace, origin.original_id, origin.id] = origin

    def add_logged_model_origin(self, origin: Origin) -> None:
        """What an import remembered of a logged model."""
        with self.transaction() as tx:
            tx.state.logged_model_origins[origin.workspace, origin.original_id] = origin

    def add_mlflow_model(self, name: str, versions: Iterable[int] = ()) -> None:
        """A registered model, with versions, of which only MLflow knows."""
        with self.transaction() as tx:
            tx.state.mlflow_models[name] = MlflowModel(frozenset(versions))

    def remove_version(self, model: str, version: int) -> None:
        """Leave its tombstone, without the rules of a registry."""
        with self.transaction() as tx:
            tx.state.versions[model, version] = replace(tx.state.versions[model, version], deleted=True)

    def queued(self) -> Sequence[str]:
        """The ids of the imports that were queued for the worker, in that order."""
        with self.transaction() as tx:
            return list(tx.state.queued)

    def lose_jobs(self) -> None:
        """Forget what was queued."""
        with self.transaction() as tx:
            tx.state.queued.clear()
            tx.state.registering.clear()

    def jobs(self) -> Sequence[tuple[str, str]]:
        """Task and subject of every job for events and webhooks, in the order of queueing."""
        with self.transaction() as tx:
            return list(tx.state.jobs.values())

    def transitions(self) -> Sequence[Transition]:
        """Every change of a stage, in order."""
        with self.transaction() as tx:
            changes = [change for changes in tx.state.transitions.values() for change in changes]
            return sorted(changes, key=lambda change: (change.at, change.revision))
