"""What the use cases need of MLflow's tracking tables; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.exports.evaluation import EvaluationDatasetRecord
from service.exports.records import ExperimentRecord, LoggedModelRecord, RunRecord
from service.exports.spans import SpanRecord
from service.exports.traces import TraceRecord
from service.usecases.ports import Transaction


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
