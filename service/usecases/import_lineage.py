"""What is remembered of where things come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.domain.importing import Import
from service.domain.model import Lineage
from service.exports.origin import first_origin, is_source_tag
from service.exports.records import RunRecord, ToolRecord, VersionRecord


def tool_lineage(import_: Import, tool: ToolRecord) -> Lineage:
    """For a version whose run is not in the export, and what every lineage begins with."""
    return Lineage(
        workspace=import_.workspace,
        tool_version=tool.package_version,
        mlflow_version=tool.mlflow_version,
        tracking_uri=tool.tracking_uri,
        exported_at=tool.exported_at,
        import_id=import_.id,
        archive_digest=import_.archive_digest,
    )


def run_lineage(import_: Import, run: RunRecord, experiment: str) -> Lineage:
    tags = run.tags
    return Lineage(
        workspace=import_.workspace,
        original_run_id=run.run_id,
        experiment=experiment,
        experiment_id=run.experiment_id,
        user=run.user,
        run_start_time=run.start_time,
        run_end_time=run.end_time,
        notebook=tags.get("mlflow.databricks.notebookPath", "")
        or (tags.get("mlflow.source.name", "") if tags.get("mlflow.source.type") == "NOTEBOOK" else ""),
        git_commit=tags.get("mlflow.source.git.commit", "") or tags.get("mlflow.databricks.gitRepoCommit", ""),
        git_url=tags.get("mlflow.source.git.repoURL", "") or tags.get("mlflow.databricks.gitRepoUrl", ""),
        tool_version=run.tool.package_version,
        mlflow_version=run.tool.mlflow_version,
        tracking_uri=run.tool.tracking_uri,
        exported_at=run.tool.exported_at,
        import_id=import_.id,
        archive_digest=import_.archive_digest,
        source=_run_source(run),
    )


def _run_source(run: RunRecord) -> dict[str, Any]:
    """What has no field of its own: where the code was, the original artifact root, newer fields as they came."""
    kept = {
        key: value
        for key, value in run.tags.items()
        if key.startswith(("mlflow.source.", "mlflow.databricks.")) or is_source_tag(key)
    }
    return {"artifact_uri": run.artifact_uri, "tags": kept, **_beside(run.tags, run.unknown)}


def version_source(version: VersionRecord) -> dict[str, Any]:
    said = {
        "model_id": version.model_id,
        "download_uri": version.download_uri,
        "unknown": dict(version.unknown),
        "origin": first_origin(version.tags),
    }
    kept = {name: value for name, value in said.items() if value}
    return {"version": kept} if kept else {}


def beside(import_: Import, tool: ToolRecord, tags: Mapping[str, str], unknown: Mapping[str, Any]) -> dict[str, Any]:
    """Of an experiment, a logged or a registered model: who exported it, and what has no place of its own."""
    return {
        "import_id": import_.id,
        "archive_digest": import_.archive_digest,
        "tool_version": tool.package_version,
        "mlflow_version": tool.mlflow_version,
        "tracking_uri": tool.tracking_uri,
        "exported_at": tool.exported_at,
        **_beside(tags, unknown),
    }


def _beside(tags: Mapping[str, str], unknown: Mapping[str, Any]) -> dict[str, Any]:
    origin = first_origin(tags)
    return {**({"origin": origin} if origin else {}), **({"unknown": dict(unknown)} if unknown else {})}
