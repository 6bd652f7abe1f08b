"""What an import will make of an export: names, ids, versions, and where each file goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from service.domain.importing import Import
from service.domain.layout import PROXIED, collected_folder, logged_model_path, run_path, trace_path
from service.domain.model import Lineage
from service.exports.records import ExperimentRecord, RegisteredModelRecord
from service.exports.survey import Survey
from service.exports.traces import TraceRecord
from service.usecases.import_lineage import beside, run_lineage
from service.usecases.model_ports import ModelDetails, NewPrompt, NewVersion
from service.usecases.plan_draft import Draft
from service.usecases.plan_experiments import central_name, experiments_of
from service.usecases.plan_extras import new_ids, new_prompts, placed
from service.usecases.plan_gaps import note_gaps
from service.usecases.plan_versions import model_name, plan_registered, plan_versions
from service.usecases.ports import Transaction
from service.usecases.tracking_ports import CentralIds, TrackingBatch


@dataclass(frozen=True)
class Target:
    """One file of the archive: its digest, and every key it is stored under."""

    size: int
    sha256: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """`targets` by member of the archive; `missing` names what the export should hold and does not.

    `incomplete` names what is taken in although the export says that it holds not all of it, `new_ids` the traces and
    evaluation datasets that have another id here.
    """

    batch: TrackingBatch
    versions: list[NewVersion]
    details: Mapping[str, ModelDetails]
    prompts: list[NewPrompt]
    targets: Mapping[str, Target]
    missing: list[dict[str, str]]
    incomplete: list[dict[str, str]]
    unread: list[str]
    new_ids: list[dict[str, str]]

    @property
    def folders(self) -> set[str]:
        """Where the files go."""
        folders = {collected_folder(key) for target in self.targets.values() for key in target.keys}
        return {folder for folder in folders if folder is not None}


def make_plan(
    tx: Transaction, import_: Import, found: Survey, ids: CentralIds, on_step: Callable[[], None] = lambda: None
) -> Plan:
    """`on_step` is called again and again, and may raise to end it.

    Raises ExportRefused, NotFound or InvalidInput when the export does not hold what was asked for, TooLarge.
    """
    draft = Draft(tx, import_, found, ids, on_step=on_step)
    traces = [placed(trace, found) for trace in found.extras.traces.values()]
    experiments = experiments_of(import_, found, traces)
    lineage = {
        run.run_id: run_lineage(import_, run, experiments[run.experiment_id].name) for run in found.runs.values()
    }
    details: dict[str, ModelDetails] = {}
    for model in found.models.values():
        name = model_name(import_, found, model)
        plan_versions(draft, model, name, lineage)
        details[name] = _details(import_, model)
    if import_.options.register:
        plan_registered(draft, lineage)
    # Versions first: their copies are the ones whose digests are checked, the runs' are copied from them.
    _owned_artifacts(draft)
    note_gaps(draft)
    batch = _batch(import_, found, experiments.values(), traces, lineage)
    targets = {
        member: Target(draft.files[member].size, draft.files[member].sha256, tuple(keys))
        for member, keys in draft.keys.items()
    }
    return Plan(
        batch=batch,
        versions=draft.versions,
        details=details,
        prompts=new_prompts(import_, found),
        targets=targets,
        missing=draft.missing,
        incomplete=draft.incomplete,
        unread=found.unread,
        new_ids=new_ids(batch, ids),
    )


def _details(import_: Import, model: RegisteredModelRecord) -> ModelDetails:
    return ModelDetails(
        model.description,
        model.tags,
        model.aliases,
        model.creation_time,
        model.last_updated_time,
        {"original_model": model.name, **beside(import_, model.tool, model.tags, model.unknown)},
    )


def _batch(
    import_: Import,
    found: Survey,
    experiments: Collection[ExperimentRecord],
    traces: Sequence[TraceRecord],
    lineage: Mapping[str, Lineage],
) -> TrackingBatch:
    return TrackingBatch(
        import_id=import_.id,
        workspace=import_.workspace,
        experiments=[(record, central_name(import_, record)) for record in experiments],
        runs=list(found.runs.values()),
        logged_models=list(found.logged_models.values()),
        traces=traces,
        evaluation_datasets=list(found.extras.evaluation_datasets.values()),
        lineage={run_id: asdict(of) for run_id, of in lineage.items()},
        experiment_lineage={
            record.experiment_id: beside(import_, record.tool, record.tags, record.unknown) for record in experiments
        },
        logged_model_lineage={
            record.model_id: beside(import_, record.tool, record.tags, record.unknown)
            for record in found.logged_models.values()
        },
    )


def _owned_artifacts(draft: Draft) -> None:
    workspace = draft.import_.workspace
    roots = {run.folder: run_path(workspace, draft.ids.run(run.run_id)) for run in draft.found.runs.values()}
    roots |= {
        model.folder: logged_model_path(workspace, draft.ids.logged_model(model.model_id))
        for model in draft.found.logged_models.values()
    }
    roots |= {
        trace.folder: trace_path(workspace, draft.ids.trace(trace.trace_id))
        for trace in draft.found.extras.traces.values()
    }
    for folder, files in draft.found.artifacts.items():
        draft.on_step()
        root = roots.get(folder)
        if root is None:
            if folder not in draft.beside:
                draft.found.unread.extend(file.member for file in files)
            continue
        for file in files:
            draft.target(file, f"{PROXIED}{root}/{file.path}")
