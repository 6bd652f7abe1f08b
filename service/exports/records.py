"""What an export says, as frozen records: plain data of every tool version, nothing looked up or resolved.

Times are milliseconds since 1970 (UTC). `folder` is the record's folder inside the archive, without the
archive's own leading folder and without a slash at its end.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple


class MetricPoint(NamedTuple):
    """`value` may be NaN or an infinity."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class MetricHistory:
    """All points of one metric, as columns of equal length in the export's order: 24 bytes a point."""

    key: str
    values: array[float]
    timestamps: array[int]
    steps: array[int]

    def points(self) -> Iterator[MetricPoint]:
        return map(MetricPoint, repeat(self.key), self.values, self.timestamps, self.steps)


@dataclass(frozen=True)
class ToolRecord:
    """Who wrote the export: the envelope's `system`."""

    package_version: str = ""
    mlflow_version: str = ""
    tracking_uri: str = ""
    user: str = ""
    exported_at: int | None = None


@dataclass(frozen=True)
class DatasetRecord:
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ExperimentRecord:
    """`named` is false for one that runs only mention by its id; its name is then made up from that.

    `described` is false for one without a file of its own. `total_runs` is how many the tool says it met; `unknown`
    keeps permissions, the original location and newer fields as they are.
    """

    experiment_id: str
    name: str
    lifecycle_stage: str
    creation_time: int | None
    last_update_time: int | None
    tags: Mapping[str, str]
    run_ids: Sequence[str]
    failed_runs: Sequence[str]
    folder: str
    tool: ToolRecord
    named: bool = True
    described: bool = True
    total_runs: int | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)
    trace_ids: Sequence[str] = ()


@dataclass(frozen=True)
class RunRecord:
    """`model_outputs` are (model id, step); `unknown` keeps newer fields of the run as they are."""

    run_id: str
    experiment_id: str
    name: str
    user: str
    status: str
    start_time: int | None
    end_time: int | None
    lifecycle_stage: str
    artifact_uri: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Sequence[MetricHistory]
    datasets: Sequence[DatasetRecord]
    model_inputs: Sequence[str]
    model_outputs: Sequence[tuple[str, int]]
    traces: Sequence[str]
    unknown: Mapping[str, Any]
    folder: str
    tool: ToolRecord


@dataclass(frozen=True)
class LoggedModelMetric:
    key: str
    value: float
    timestamp: int
    step: int
    run_id: str
    dataset_name: str | None
    dataset_digest: str | None


@dataclass(frozen=True)
class LoggedModelRecord:
    model_id: str
    experiment_id: str
    name: str
    source_run_id: str
    status: str
    status_message: str
    model_type: str
    creation_time: int | None
    last_updated_time: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Sequence[LoggedModelMetric]
    unknown: Mapping[str, Any]
    folder: str
    tool: ToolRecord


@dataclass(frozen=True)
class VersionRecord:
    """`run_artifact_uri`, `experiment_name` and `download_uri` are what the tool noted about it."""

    version: int
    run_id: str
    source: str
    stage: str
    status: str
    status_message: str
    description: str
    user: str
    run_link: str
    model_id: str
    tags: Mapping[str, str]
    creation_time: int | None
    last_updated_time: int | None
    run_artifact_uri: str
    experiment_name: str
    download_uri: str
    unknown: Mapping[str, Any]


@dataclass(frozen=True)
class RegisteredModelRecord:
    """Versions by number; `aliases` map to version numbers."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    creation_time: int | None
    last_updated_time: int | None
    versions: Sequence[VersionRecord]
    failed_versions: Sequence[str]
    unknown: Mapping[str, Any]
    folder: str
    tool: ToolRecord
