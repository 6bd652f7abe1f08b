"""What an import will make of traces, prompts and evaluation datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from service.domain.errors import ExportRefused
from service.domain.importing import Import
from service.domain.names import check_model_name
from service.exports.extras import Extras
from service.exports.records import ExperimentRecord
from service.exports.survey import Survey
from service.exports.traces import TraceRecord
from service.usecases.model_ports import NewPrompt
from service.usecases.tracking_ports import CentralIds, TrackingBatch


def placed(trace: TraceRecord, found: Survey) -> TraceRecord:
    """A trace that names no experiment belongs to the one in whose folder it is."""
    if trace.experiment_id:
        return trace
    inside = (
        record for record in found.experiments.values() if trace.folder.startswith(f"{record.folder}/".lstrip("/"))
    )
    around = max(inside, key=lambda record: len(record.folder), default=None)
    return trace if around is None else replace(trace, experiment_id=around.experiment_id)


def new_ids(batch: TrackingBatch, ids: CentralIds) -> list[dict[str, str]]:
    pairs = [("trace", trace.trace_id, ids.trace(trace.trace_id)) for trace in batch.traces]
    pairs += [
        ("evaluation_dataset", dataset.dataset_id, ids.evaluation_dataset(dataset.dataset_id))
        for dataset in batch.evaluation_datasets
    ]
    return [{"kind": kind, "original_id": original, "id": here} for kind, original, here in pairs if original != here]


def new_prompts(import_: Import, found: Survey) -> list[NewPrompt]:
    """By name and number. `model_name` is for the one model; for the one prompt only when there is no model."""
    wanted = "" if found.models or import_.options.register else import_.options.model_name
    if wanted and len({name for name, _ in found.extras.prompts}) > 1:
        raise ExportRefused("The export holds several prompts, and model_name can name only one.", field="model_name")
    return [
        NewPrompt(
            name=check_model_name(import_.options.model_prefix + (wanted or name)),
            workspace=import_.workspace,
            import_id=import_.id,
            record=found.extras.prompts[name, number],
        )
        for name, number in sorted(found.extras.prompts)
    ]


def lacking(extras: Extras, experiments: Collection[ExperimentRecord]) -> Iterator[dict[str, str]]:
    """What the export says it holds, or failed to hold, and does not: by kind, name and reason."""
    failed = dict.fromkeys(trace_id for trace_id in extras.failed_traces if trace_id not in extras.traces)
    listed = dict.fromkeys(trace_id for experiment in experiments for trace_id in experiment.trace_ids)
    for trace_id in failed:
        yield {"kind": "trace", "name": trace_id, "reason": "the export tool recorded it as failed"}
    for trace_id in sorted(listed.keys() - extras.traces.keys() - failed.keys()):
        yield {"kind": "trace", "name": trace_id, "reason": "experiment.json lists it and its folder is not there"}
    for trace in extras.traces.values():
        if trace.folder not in extras.bad_spans:  # those that could not be read are a file beside the trace
            here = set(extras.spans.get(trace.trace_id, ()))
            for span_id in trace.span_ids:
                if span_id not in here:
                    name = f"{trace.trace_id}/{span_id}"
                    yield {"kind": "span", "name": name, "reason": "the export does not hold the span"}
    for kind, count in (("prompt", extras.failed_prompts), ("evaluation_dataset", extras.failed_datasets)):
        for _ in range(count):
            yield {"kind": kind, "name": "", "reason": "the export tool recorded it as failed, without its name"}
