"""What an import will make of an export: names, ids, versions, and where each file goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from service.domain.errors import Conflict, ExportRefused, NotFound
from service.domain.importing import Import
from service.domain.layout import PROXIED, logged_model_path, run_path, version_prefix
from service.domain.model import Lineage, Manifest, ManifestFile
from service.domain.names import check_model_name
from service.exports.mlmodel import MLmodel
from service.exports.records import (
    ExperimentRecord,
    RegisteredModelRecord,
    RunRecord,
    ToolRecord,
    VersionRecord,
)
from service.exports.survey import ArtifactFile, Survey, files_below
from service.exports.versions import VersionFiles, version_files
from service.usecases.import_lineage import beside, run_lineage, tool_lineage, version_source
from service.usecases.ports import CentralIds, ModelDetails, NewVersion, TrackingBatch, Transaction

EXPERIMENT_NAME = 256
RECORDED = "the export tool recorded it as failed"


@dataclass(frozen=True)
class Target:
    """One file of the archive: its digest, and every key it is stored under."""

    size: int
    sha256: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """`targets` by member of the archive; `missing` names what the export should hold and does not.

    `incomplete` names what is taken in although the export says that it holds not all of it.
    """

    batch: TrackingBatch
    versions: list[NewVersion]
    details: Mapping[str, ModelDetails]
    targets: Mapping[str, Target]
    missing: list[dict[str, str]]
    incomplete: list[dict[str, str]]
    unread: list[str]


@dataclass
class _Draft:
    tx: Transaction
    import_: Import
    found: Survey
    ids: CentralIds
    keys: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, ArtifactFile] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    incomplete: list[dict[str, str]] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    versions: list[NewVersion] = field(default_factory=list)

    def target(self, file: ArtifactFile, key: str) -> None:
        self.files[file.member] = file
        self.keys.setdefault(file.member, []).append(key)

    @property
    def partial(self) -> frozenset[str]:
        """Runs that are here in part: the tool recorded them as failed, and left what it had."""
        failed = {run_id for experiment in self.found.experiments.values() for run_id in experiment.failed_runs}
        return frozenset(failed & set(self.found.runs))

    def run_here(self, original: str) -> str:
        """The id here of a run of this export, or of one that the workspace brought before; '' for any other."""
        if original in self.found.runs:
            return self.ids.run(original)
        if not original:
            return ""
        try:
            return self.tx.models.imported_run(self.import_.workspace, original).run_id
        except NotFound:
            return ""


def make_plan(tx: Transaction, import_: Import, found: Survey, ids: CentralIds) -> Plan:
    """Raises ExportRefused, NotFound or InvalidInput when the export does not hold what was asked for."""
    draft = _Draft(tx, import_, found, ids)
    experiments = _experiments(import_, found)
    lineage = {
        run.run_id: run_lineage(import_, run, experiments[run.experiment_id].name) for run in found.runs.values()
    }
    details: dict[str, ModelDetails] = {}
    for model in found.models.values():
        name = _model_name(import_, found, model)
        _versions_of(draft, model, name, lineage)
        details[name] = ModelDetails(
            model.description,
            model.tags,
            model.aliases,
            model.creation_time,
            model.last_updated_time,
            {"original_model": model.name, **beside(import_, model.tool, model.tags, model.unknown)},
        )
    if import_.options.register:
        _registered(draft, lineage)
    # Versions first: their copies are the ones whose digests are checked, the runs' are copied from them.
    _owned_artifacts(draft)
    _note_failures(draft)
    batch = TrackingBatch(
        import_id=import_.id,
        workspace=import_.workspace,
        experiments=[(record, _central_name(import_, record)) for record in experiments.values()],
        runs=list(found.runs.values()),
        logged_models=list(found.logged_models.values()),
        lineage={run_id: asdict(of) for run_id, of in lineage.items()},
        experiment_lineage={
            record.experiment_id: beside(import_, record.tool, record.tags, record.unknown)
            for record in experiments.values()
        },
        logged_model_lineage={
            record.model_id: beside(import_, record.tool, record.tags, record.unknown)
            for record in found.logged_models.values()
        },
    )
    targets = {
        member: Target(draft.files[member].size, draft.files[member].sha256, tuple(keys))
        for member, keys in draft.keys.items()
    }
    return Plan(batch, draft.versions, details, targets, draft.missing, draft.incomplete, found.unread)


def check_plan(tx: Transaction, plan: Plan, environment: str) -> None:
    """Refuse before any byte is stored what the database would refuse in the end.

    Raises Conflict, or NotFound for a stage that `environment`, which is to get the source's stages, does not have.
    """
    for name in {version.model for version in plan.versions} | set(plan.details):
        owner = tx.models.owner(name)
        if owner not in (None, plan.batch.workspace):
            raise Conflict(
                f"The model name {name!r} is taken by someone else; choose another with model_name.",
                field="model_name",
            )
    if environment:
        _check_stages(tx, plan, environment)
    for _, name in plan.batch.experiments:
        _check_space(tx, plan.batch.workspace, name)
        if not tx.models.experiment_is_open_to(plan.batch.workspace, name):
            raise Conflict(
                f"The experiment name {name!r} is used by someone else; choose another with experiment_name.",
                field="experiment_name",
            )


def _check_space(tx: Transaction, workspace: str, name: str) -> None:
    """Names that begin with another workspace's name are kept for its own experiments."""
    space, slash, _ = name.partition("/")
    if slash and space != workspace and any(other.name == space for other in tx.workspaces.list()):
        raise Conflict(
            f"Experiment names that begin with {space + '/'!r} are the workspace {space!r}'s; choose another with "
            "experiment_name.",
            field="experiment_name",
        )


def _check_stages(tx: Transaction, plan: Plan, environment: str) -> None:
    stages = tx.environments.get(environment).stages
    for version in plan.versions:
        stage = version.lineage["original_stage"]
        if stage not in ("", "None", *stages):
            raise NotFound("stage", stage, f"Environment {environment!r} has no stage {stage!r}.")


def _experiments(import_: Import, found: Survey) -> dict[str, ExperimentRecord]:
    """By original id: the export's own, and those that its runs only mention."""
    experiments = dict(found.experiments)
    names = {
        found.runs[version.run_id].experiment_id: version.experiment_name
        for model in found.models.values()
        for version in model.versions
        if version.run_id in found.runs and version.experiment_name
    }
    mentioned = [(run.experiment_id, run.tool) for run in found.runs.values()]
    mentioned += [(model.experiment_id, model.tool) for model in found.logged_models.values()]
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


def _central_name(import_: Import, record: ExperimentRecord) -> str:
    name = import_.options.experiment_name or f"{import_.workspace}/{record.name}"
    if len(name) > EXPERIMENT_NAME:
        raise ExportRefused(
            f"The experiment would be named {name[:60]!r}…, over {EXPERIMENT_NAME} characters; give experiment_name.",
            field="experiment_name",
        )
    return name


def _model_name(import_: Import, found: Survey, model: RegisteredModelRecord) -> str:
    wanted = import_.options.model_name
    if wanted and len(found.models) > 1:
        raise ExportRefused(
            f"The export holds {len(found.models)} models, and model_name can name only one.", field="model_name"
        )
    return check_model_name(import_.options.model_prefix + (wanted or model.name))


def _versions_of(draft: _Draft, model: RegisteredModelRecord, name: str, lineage: Mapping[str, Lineage]) -> None:
    for version in model.versions:
        files = version_files(draft.found, version, model.folder)
        why = _unfit(draft, version, files)
        if why:
            draft.missing.append({"kind": "version", "name": f"{model.name}/{version.version}", "reason": why})
            continue
        if files.beside:
            draft.beside.add(files.beside)
        base = lineage.get(version.run_id, tool_lineage(draft.import_, model.tool))
        of = replace(
            base,
            run_id=draft.run_here(version.run_id),
            original_run_id=version.run_id,
            artifact_path=files.artifact_path,
            experiment=base.experiment or version.experiment_name,
            original_model=model.name,
            original_version=str(version.version),
            original_stage=version.stage,
            original_source=version.source,
            exported_at=model.tool.exported_at or base.exported_at,
            source={**base.source, **version_source(version)},
        )
        draft.versions.append(_new_version(draft, name, files, of, version))


def _unfit(draft: _Draft, version: VersionRecord, files: VersionFiles) -> str:
    """Why the version cannot be registered; '' when it can."""
    if not files.files:
        return "the export does not hold the model's files"
    if version.run_id in draft.partial and not files.beside:
        return "the export tool recorded the version's run as failed: files of the model may be missing"
    return ""


def _registered(draft: _Draft, lineage: Mapping[str, Lineage]) -> None:
    """`register=<artifact path>`: one version for each run that holds the path, oldest run first."""
    options = draft.import_.options
    name = check_model_name(options.model_prefix + options.model_name)
    path = options.register.strip("/")
    before = len(draft.versions)
    for run in sorted(draft.found.runs.values(), key=lambda run: (run.start_time or 0, run.run_id)):
        files = _registered_files(draft.found, run, path)
        if not files.files:
            continue
        if run.run_id in draft.partial:
            why = "the export tool recorded the run as failed: files of the model may be missing"
            draft.missing.append({"kind": "version", "name": f"{run.run_id}/{path}", "reason": why})
            continue
        of = replace(
            lineage[run.run_id],
            run_id=draft.ids.run(run.run_id),
            artifact_path=path,
            original_source=f"runs:/{run.run_id}/{path}",
        )
        draft.versions.append(_new_version(draft, name, files, of, None))
    if len(draft.versions) == before:
        raise ExportRefused(f"No run in the export holds the artifact path {path!r}.", field="register")


def _registered_files(found: Survey, run: RunRecord, path: str) -> VersionFiles:
    """The files at the path; else those of the run's last logged model of that name."""
    files = files_below(found.artifacts.get(run.folder, ()), path)
    named = [
        (step, found.logged_models[model].creation_time or 0, model)
        for model, step in run.model_outputs
        if model in found.logged_models and found.logged_models[model].name == path
    ]
    if files or not named:
        return VersionFiles(files, path, "")
    last = max(named)[2]
    return VersionFiles(list(found.artifacts.get(found.logged_models[last].folder, ())), "", last)


def _new_version(
    draft: _Draft, name: str, files: VersionFiles, lineage: Lineage, version: VersionRecord | None
) -> NewVersion:
    manifest = Manifest.of(ManifestFile(file.path, file.size, file.sha256) for file in files.files)
    prefix = version_prefix(manifest.digest)
    for file in files.files:
        draft.target(file, prefix + file.path)
    mlmodel = next(
        (
            draft.found.mlmodels[file.member]
            for file in files.files
            if file.path == "MLmodel" and file.member in draft.found.mlmodels
        ),
        MLmodel(),
    )
    new = NewVersion(
        model=name,
        workspace=draft.import_.workspace,
        manifest=manifest,
        run_id=lineage.run_id,
        created_by=draft.import_.created_by,
        flavors=mlmodel.flavors,
        signature=mlmodel.signature,
        lineage=asdict(lineage),
        # A version made by `register` is known by its run and path when the same export comes again.
        original_model=lineage.original_model or f"run {lineage.original_run_id}",
        original_version=lineage.original_version or lineage.artifact_path or "/",
    )
    if version is None:
        return replace(new, user=lineage.user)
    return replace(
        new,
        number=version.version,
        description=version.description,
        user=version.user,
        run_link=version.run_link,
        tags=version.tags,
        creation_time=version.creation_time,
        last_updated_time=version.last_updated_time,
        status=version.status,
        status_message=version.status_message,
    )


def _owned_artifacts(draft: _Draft) -> None:
    workspace = draft.import_.workspace
    roots = {run.folder: run_path(workspace, draft.ids.run(run.run_id)) for run in draft.found.runs.values()}
    roots |= {
        model.folder: logged_model_path(workspace, draft.ids.logged_model(model.model_id))
        for model in draft.found.logged_models.values()
    }
    for folder, files in draft.found.artifacts.items():
        root = roots.get(folder)
        if root is None:
            if folder not in draft.beside:
                draft.found.unread.extend(file.member for file in files)
            continue
        for file in files:
            draft.target(file, f"{PROXIED}{root}/{file.path}")


def _note_failures(draft: _Draft) -> None:
    """What the tool itself could not export, and says so; what it lists and the export does not hold."""
    found = draft.found
    for experiment in found.experiments.values():
        absent = [run_id for run_id in experiment.failed_runs if run_id not in found.runs]
        _note(draft.missing, "run", absent, RECORDED)
        unheld = [run_id for run_id in experiment.run_ids if run_id not in found.runs]
        _note(draft.missing, "run", unheld, "experiment.json lists it and its folder is not there")
        named = len({*experiment.run_ids, *experiment.failed_runs})
        if (experiment.total_runs or 0) > named:
            why = f"the export tool met {experiment.total_runs} runs and names {named}"
            _note(draft.incomplete, "experiment", [experiment.name], why)
    _note(draft.incomplete, "run", sorted(draft.partial), f"{RECORDED}; what its folder holds was taken in")
    for model in found.models.values():
        _note(draft.missing, "version", model.failed_versions, RECORDED)
    held = {"experiment": {*found.experiments}, "model": {*found.models}, "logged_model": {*found.logged_models}}
    failed = dict.fromkeys(found.failed)
    for kind, name in failed:
        _note(draft.missing, kind, [name], RECORDED)
    for kind, name in dict.fromkeys(found.listed):
        if name not in held[kind] and (kind, name) not in failed:
            _note(draft.missing, kind, [name], "the export lists it and does not hold it")
    _note_parents(draft)


def _note_parents(draft: _Draft) -> None:
    for run in draft.found.runs.values():
        parent = run.tags.get("mlflow.parentRunId", "")
        if parent and not draft.run_here(parent):
            why = f"its parent run {parent[:40]} is not in the export and was not imported before"
            _note(draft.incomplete, "run", [run.run_id], why)


def _note(rows: list[dict[str, str]], kind: str, names: Iterable[str], reason: str) -> None:
    rows.extend({"kind": kind, "name": name, "reason": reason} for name in names)
