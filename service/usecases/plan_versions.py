"""Which versions an import registers, under which names, of which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from service.domain.errors import ExportRefused, TooLarge
from service.domain.importing import Import
from service.domain.model import Lineage
from service.domain.names import check_model_name
from service.exports.mlmodel import MLmodel
from service.exports.records import RegisteredModelRecord, RunRecord, VersionRecord
from service.exports.single_versions import MAX_VERSIONS
from service.exports.survey import Survey
from service.exports.versions import VersionFiles
from service.usecases.import_lineage import tool_lineage, version_source
from service.usecases.model_ports import NewVersion
from service.usecases.plan_draft import Draft


def model_name(import_: Import, found: Survey, model: RegisteredModelRecord) -> str:
    wanted = import_.options.model_name
    if wanted and len(found.models) > 1:
        raise ExportRefused(
            f"The export holds {len(found.models)} models, and model_name can name only one.", field="model_name"
        )
    return check_model_name(import_.options.model_prefix + (wanted or model.name))


def plan_versions(draft: Draft, model: RegisteredModelRecord, name: str, lineage: Mapping[str, Lineage]) -> None:
    for version in model.versions:
        draft.on_step()
        files = draft.sources.of(version, model.folder)
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


def _unfit(draft: Draft, version: VersionRecord, files: VersionFiles) -> str:
    """Why the version cannot be registered; '' when it can."""
    if not files.files:
        return "the export does not hold the model's files"
    if version.run_id in draft.partial and not files.beside:
        return "the export tool recorded the version's run as failed: files of the model may be missing"
    return ""


def plan_registered(draft: Draft, lineage: Mapping[str, Lineage]) -> None:
    """`register=<artifact path>`: one version for each run that holds the path, oldest run first."""
    options = draft.import_.options
    name = check_model_name(options.model_prefix + options.model_name)
    path = options.register.strip("/")
    before = len(draft.versions)
    for run in sorted(draft.found.runs.values(), key=lambda run: (run.start_time or 0, run.run_id)):
        draft.on_step()
        files = _registered_files(draft, run, path)
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
        if len(draft.versions) > MAX_VERSIONS:
            raise TooLarge(f"More than {MAX_VERSIONS} runs hold the artifact path {path!r}.", field="register")
    if len(draft.versions) == before:
        raise ExportRefused(f"No run in the export holds the artifact path {path!r}.", field="register")


def _registered_files(draft: Draft, run: RunRecord, path: str) -> VersionFiles:
    """The files at the path; else those of the run's last logged model of that name."""
    found = draft.found
    files = draft.sources.below(run.folder, path)
    named = [
        (step, found.logged_models[model].creation_time or 0, model)
        for model, step in run.model_outputs
        if model in found.logged_models and found.logged_models[model].name == path
    ]
    if files or not named:
        return VersionFiles(files, path, "", place=(run.folder, path))
    last = max(named)[2]
    folder = found.logged_models[last].folder
    return VersionFiles(draft.sources.below(folder, ""), "", last, place=(folder, ""))


def _new_version(
    draft: Draft, name: str, files: VersionFiles, lineage: Lineage, version: VersionRecord | None
) -> NewVersion:
    manifest = draft.manifest(files)
    said = asdict(lineage)
    # Each has its own copy of what is known of its run.
    draft.kept.add(said, f"{lineage.original_model or name}/{lineage.original_version}")
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
        lineage=said,
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
