"""Which central experiments an import writes to, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.errors import ExportRefused
from service.domain.importing import Import
from service.exports.records import ExperimentRecord, ToolRecord
from service.exports.survey import Survey
from service.exports.traces import TraceRecord

EXPERIMENT_NAME = 256


def experiments_of(import_: Import, found: Survey, traces: Iterable[TraceRecord]) -> dict[str, ExperimentRecord]:
    """By original id: the export's own, and those that its runs, models, traces and datasets only mention."""
    experiments = dict(found.experiments)
    names = {
        found.runs[version.run_id].experiment_id: version.experiment_name
        for model in found.models.values()
        for version in model.versions
        if version.run_id in found.runs and version.experiment_name
    }
    mentioned = [(run.experiment_id, run.tool) for run in found.runs.values()]
    mentioned += [(model.experiment_id, model.tool) for model in found.logged_models.values()]
    mentioned += [(trace.experiment_id, trace.tool) for trace in traces]
    mentioned += [
        (key, dataset.tool) for dataset in found.extras.evaluation_datasets.values() for key in dataset.experiment_ids
    ]
    for experiment_id, tool in mentioned:
        if experiment_id not in experiments:
            experiments[experiment_id] = _mentioned(experiment_id, names.get(experiment_id, ""), tool)
    if import_.options.experiment_name and len(experiments) > 1:
        raise ExportRefused(
            f"The export holds {len(experiments)} experiments, and experiment_name can name only one.",
            field="experiment_name",
        )
    return experiments


def _mentioned(experiment_id: str, name: str, tool: ToolRecord) -> ExperimentRecord:
    made_up = f"experiment {experiment_id}".strip()
    return ExperimentRecord(
        experiment_id,
        name or made_up,
        "active",
        None,
        None,
        {},
        (),
        (),
        "",
        tool,
        named=bool(name),
        described=False,
    )


def central_name(import_: Import, record: ExperimentRecord) -> str:
    name = import_.options.experiment_name or f"{import_.workspace}/{record.name}"
    if len(name) > EXPERIMENT_NAME:
        raise ExportRefused(
            f"The experiment would be named {name[:60]!r}…, over {EXPERIMENT_NAME} characters; give experiment_name.",
            field="experiment_name",
        )
    return name
