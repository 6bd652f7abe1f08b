"""Whether a plan can be carried out, asked before any byte is stored."""

from __future__ import annotations

from service.domain.errors import Conflict
from service.domain.refusals import experiment_name_taken, no_stage, prompt_name_taken
from service.usecases.import_plan import Plan
from service.usecases.ports import Transaction


def check_plan(tx: Transaction, plan: Plan, environment: str) -> None:
    """Refuse before any byte is stored what the database would refuse in the end.

    Raises Conflict, or NotFound for a stage that `environment`, which is to get the source's stages, does not have.
    """
    models = {version.model for version in plan.versions} | set(plan.details)
    for name in sorted(models):
        if tx.models.owner(name) not in (None, plan.batch.workspace) or tx.models.is_prompt(name):
            raise Conflict(
                f"The model name {name!r} is taken by someone else; choose another with model_name.",
                field="model_name",
            )
    for name in sorted({prompt.name for prompt in plan.prompts}):
        owner = tx.models.owner(name)
        if name in models or owner not in (None, plan.batch.workspace) or (owner and not tx.models.is_prompt(name)):
            raise prompt_name_taken(name)
    if environment:
        _check_stages(tx, plan, environment)
    for _, name in plan.batch.experiments:
        _check_space(tx, plan.batch.workspace, name)
        if not tx.models.experiment_is_open_to(plan.batch.workspace, name):
            raise experiment_name_taken(name)


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
            raise no_stage(environment, stage)
