"""What an export should hold and does not, by its own word."""

from __future__ import annotations

from service.usecases.plan_draft import RECORDED, Draft, note
from service.usecases.plan_extras import lacking


def note_gaps(draft: Draft) -> None:
    """What the tool itself could not export, and says so; what it lists and the export does not hold."""
    found = draft.found
    for experiment in found.experiments.values():
        absent = [run_id for run_id in experiment.failed_runs if run_id not in found.runs]
        note(draft.missing, "run", absent, RECORDED)
        unheld = [run_id for run_id in dict.fromkeys(experiment.run_ids) if run_id not in found.runs]
        note(draft.missing, "run", unheld, "experiment.json lists it and its folder is not there")
        # Bulk exports of models name and count a run once for each version it has.
        named = len(experiment.run_ids) + len({*experiment.failed_runs} - {*experiment.run_ids})
        if (experiment.total_runs or 0) > named:
            why = f"the export tool met {experiment.total_runs} runs and names {named}"
            note(draft.incomplete, "experiment", [experiment.name], why)
    note(draft.incomplete, "run", sorted(draft.partial), f"{RECORDED}; what its folder holds was taken in")
    for model in found.models.values():
        note(draft.missing, "version", model.failed_versions, RECORDED)
    held = {"experiment": {*found.experiments}, "model": {*found.models}, "logged_model": {*found.logged_models}}
    failed = dict.fromkeys(found.failed)
    for kind, name in failed:
        note(draft.missing, kind, [name], RECORDED)
    for kind, name in dict.fromkeys(found.listed):
        if name not in held[kind] and (kind, name) not in failed:
            note(draft.missing, kind, [name], "the export lists it and does not hold it")
    draft.missing.extend(lacking(found.extras, found.experiments.values()))
    _note_parents(draft)


def _note_parents(draft: Draft) -> None:
    for run in draft.found.runs.values():
        parent = run.tags.get("mlflow.parentRunId", "")
        if parent and not draft.run_here(parent):
            why = f"its parent run {parent[:40]} is not in the export and was not imported before"
            note(draft.incomplete, "run", [run.run_id], why)
