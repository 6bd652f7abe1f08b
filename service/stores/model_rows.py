"""Rows of registered models and of runs, read from ours and from MLflow's tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.domain.errors import NotFound
from service.domain.model import Manifest, ManifestFile, ModelVersion, RegisteredModel, Withdrawal, is_older
from service.domain.refusals import no_version
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.deletion_rows import DeletionWriter
from service.stores.plain import plain
from service.stores.prompt_rows import PromptWriter
from service.stores.registration_tables import registrations
from service.stores.version_rows import VersionWriter, mlflow_has_model, tagged_prompt, upsert, version_of
from service.usecases.model_ports import (
    LoggedModelInfo,
    ModelDetails,
    NewPrompt,
    NewVersion,
    PromptVersion,
    RunInfo,
)

Rows = list[Any]


class PostgresModels:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> RegisteredModel:
        found = self._registered((t.models.c.name == name) & t.models.c.deleted_at.is_(None))
        if not found:
            raise NotFound("model", name)
        return found[0]

    def list(self) -> Sequence[RegisteredModel]:
        return self._registered(t.models.c.deleted_at.is_(None))

    def _registered(self, condition: sa.ColumnElement[bool]) -> Sequence[RegisteredModel]:
        """Ours, with what MLflow's clients may change (description, tags, aliases) from MLflow's rows."""
        rows = self._connection.execute(
            sa.select(t.models, m.registered_models.c.description)
            .outerjoin_from(t.models, m.registered_models, self._same(m.registered_models))
            .where(condition)
            .order_by(t.models.c.name)
        ).all()
        versions = self._grouped(
            sa.select(t.models.c.name, t.versions.c.version)
            .join_from(t.models, t.versions, t.versions.c.model == t.models.c.name)
            .where(condition, t.versions.c.deleted_at.is_(None))
            .order_by(t.versions.c.version)
        )
        tags = self._grouped(self._beside(m.registered_model_tags, "key", "value").where(condition))
        aliases = self._grouped(self._beside(m.registered_model_aliases, "alias", "version").where(condition))
        return [
            RegisteredModel(
                name=row.name,
                workspace=row.workspace or "",
                description=row.description or "",
                tags={pair[1]: pair[2] for pair in tags.get(row.name, ())},
                aliases={pair[1]: pair[2] for pair in aliases.get(row.name, ())},
                created_at=row.created_at,
                versions=tuple(pair[1] for pair in versions.get(row.name, ())),
            )
            for row in rows
        ]

    def _same(self, table: sa.TableClause) -> sa.ColumnElement[bool]:
        return (table.c.name == t.models.c.name) & (table.c.workspace == m.WORKSPACE)

    def _beside(self, table: sa.TableClause, *columns: str) -> sa.Select[Any]:
        picked = [table.c[column] for column in columns]
        return sa.select(t.models.c.name, *picked).join_from(t.models, table, self._same(table)).order_by(picked[0])

    def _grouped(self, query: sa.Select[Any]) -> dict[str, Rows]:
        groups: dict[str, Rows] = {}
        for row in self._connection.execute(query):
            groups.setdefault(row[0], []).append(row)
        return groups

    def of_digest(self, model: str, digest: str) -> Sequence[ModelVersion]:
        query = sa.select(t.versions).where(
            t.versions.c.model == model, t.versions.c.digest == digest, t.versions.c.deleted_at.is_(None)
        )
        found = [version_of(row) for row in self._connection.execute(query.order_by(t.versions.c.version.desc()))]
        if not found:
            self.get(model)
        return found

    def withdraw(self, model: str, version: int, withdrawal: Withdrawal | None) -> ModelVersion:
        row = self._connection.execute(
            sa.update(t.versions)
            .where(t.versions.c.model == model, t.versions.c.version == version, t.versions.c.deleted_at.is_(None))
            .values(
                withdrawn_reason=withdrawal and withdrawal.reason,
                withdrawn_by=withdrawal and withdrawal.by,
                withdrawn_at=withdrawal and withdrawal.at,
            )
            .returning(t.versions)
        ).one_or_none()
        return self.version(model, version) if row is None else version_of(row)

    def version(self, model: str, version: int) -> ModelVersion:
        row = self._connection.execute(
            sa.select(t.versions).where(t.versions.c.model == model, t.versions.c.version == version)
        ).one_or_none()
        if row is None or row.deleted_at is not None:
            self.get(model)
            raise no_version(model, version, self._registration(model, version))
        return version_of(row)

    def _registration(self, model: str, version: int) -> str | None:
        """Its state, if the version was asked for over MLflow's API."""
        return self._connection.scalar(
            sa.select(registrations.c.state).where(registrations.c.model == model, registrations.c.version == version)
        )

    def delete_version(self, model: str, version: int, by: str, at: datetime) -> None:
        if version not in self.numbers(model):
            raise no_version(model, version)
        DeletionWriter(self._connection).version(model, version, by, at)

    def delete(self, model: str, by: str, at: datetime) -> Sequence[int]:
        numbers = self.numbers(model)
        DeletionWriter(self._connection).model(model, by, at)
        return numbers

    def rename(self, model: str, name: str, at: datetime) -> None:
        self.get(model)
        DeletionWriter(self._connection).rename(model, name, at)

    def was_in_a_stage(self, model: str) -> bool:
        query = sa.select(t.transitions.c.model).where(t.transitions.c.model == model).limit(1)
        return self._connection.scalar(query) is not None

    def numbers(self, model: str) -> Sequence[int]:
        if not mlflow_has_model(self._connection, model):
            raise NotFound("model", model)
        return DeletionWriter(self._connection).numbers(model)

    def manifest(self, digest: str) -> Manifest:
        files = self._connection.scalar(sa.select(t.manifests.c.files).where(t.manifests.c.digest == digest))
        if files is None:
            raise NotFound("digest", digest)
        return Manifest.of(ManifestFile(row["path"], row["size"], row["sha256"]) for row in files)

    def has_manifest(self, digest: str) -> bool:
        query = sa.select(t.manifests.c.digest).where(t.manifests.c.digest == digest)
        return self._connection.scalar(query) is not None

    def run(self, run_id: str) -> RunInfo:
        return self._run(m.runs.c.run_uuid == run_id, run_id)

    def logged_model_uri(self, run_id: str, name: str) -> str | None:
        uri: str | None = self._connection.scalar(
            sa.select(m.logged_models.c.artifact_location)
            .join_from(m.inputs, m.logged_models, m.logged_models.c.model_id == m.inputs.c.destination_id)
            .where(
                m.inputs.c.source_type == "RUN_OUTPUT",
                m.inputs.c.source_id == run_id,
                m.inputs.c.destination_type == "MODEL_OUTPUT",
                m.logged_models.c.name == name,
                m.logged_models.c.lifecycle_stage == "active",
            )
            .order_by(m.inputs.c.step.desc(), m.logged_models.c.creation_timestamp_ms.desc())
            .limit(1)
        )
        return uri

    def logged_model(self, model_id: str) -> LoggedModelInfo:
        g = m.logged_models.c
        row = self._connection.execute(
            sa.select(m.logged_models).where(g.model_id == model_id, g.lifecycle_stage == "active")
        ).one_or_none()
        if row is None:
            raise NotFound("logged model", model_id)
        return LoggedModelInfo(model_id, row.source_run_id or "", row.artifact_location)

    def imported_run(self, workspace: str, original_run_id: str) -> RunInfo:
        return self._run(
            (t.runs.c.workspace == workspace) & (t.runs.c.original_run_id == original_run_id), original_run_id
        )

    def _run(self, condition: sa.ColumnElement[bool], asked: str) -> RunInfo:
        row = self._connection.execute(
            sa.select(m.runs, t.runs.c.workspace, t.runs.c.lineage)
            .outerjoin_from(m.runs, t.runs, t.runs.c.run_id == m.runs.c.run_uuid)
            .where(condition)
        ).one_or_none()
        if row is None:
            raise NotFound("run", asked)
        own = {"user": row.user_id or "", "run_start_time": row.start_time, "run_end_time": row.end_time}
        return RunInfo(
            run_id=row.run_uuid,
            experiment_id=str(row.experiment_id),
            workspace=row.workspace or "",
            artifact_uri=row.artifact_uri or "",
            lineage=row.lineage or own,
        )

    def is_prompt(self, name: str) -> bool:
        ours = sa.exists().where(t.models.c.name == name, t.models.c.deleted_at.is_(None))
        by_import = sa.select(t.prompts.c.name).where(t.prompts.c.name == name)
        query = sa.union_all(by_import, tagged_prompt(name).where(~ours))
        return self._connection.execute(query).first() is not None

    def owner(self, name: str) -> str | None:
        ours = sa.union_all(
            sa.select(t.models.c.workspace).where(t.models.c.name == name, t.models.c.deleted_at.is_(None)),
            sa.select(t.prompts.c.workspace).where(t.prompts.c.name == name),
        )
        row = self._connection.execute(ours).one_or_none()
        if row is not None:
            return row.workspace or ""
        r = m.registered_models
        known = self._connection.scalar(sa.select(r.c.name).where(r.c.name == name, r.c.workspace == m.WORKSPACE))
        return None if known is None else ""

    def experiment_is_open_to(self, workspace: str, name: str) -> bool:
        e = m.experiments
        row = self._connection.execute(
            sa.select(e.c.experiment_id).where(e.c.name == name, e.c.workspace == m.WORKSPACE)
        ).one_or_none()
        if row is None:
            return True
        owners = self._connection.scalars(
            sa.select(t.experiments.c.workspace).where(t.experiments.c.experiment_id == row.experiment_id)
        )
        return set(owners) == {workspace}

    def own(self, name: str, workspace: str, created: int | None) -> bool:
        return VersionWriter(self._connection).own(name, workspace, created)

    def set_details(self, name: str, details: ModelDetails) -> bool:
        key = {"workspace": m.WORKSPACE, "name": name}
        r = m.registered_models
        lineage = plain(details.lineage)
        last = self._connection.scalar(sa.select(t.models.c.lineage).where(t.models.c.name == name)) or {}
        if is_older(lineage, last.get("exported_at")) or not mlflow_has_model(self._connection, name):
            return False
        if lineage:
            self._connection.execute(sa.update(t.models).where(t.models.c.name == name).values(lineage=lineage))
        wanted: dict[str, Any] = {
            "creation_time": sa.func.least(r.c.creation_time, details.creation_time),
            "last_updated_time": sa.func.greatest(r.c.last_updated_time, details.last_updated_time),
        }
        if details.description:
            wanted["description"] = details.description
        differs = sa.or_(*(r.c[column].is_distinct_from(value) for column, value in wanted.items()))
        done = self._connection.execute(
            sa.update(r).where(r.c.name == name, r.c.workspace == m.WORKSPACE, differs).values(**wanted)
        )
        tags = [{**key, "key": tag, "value": value} for tag, value in details.tags.items()]
        aliases = [{**key, "alias": alias, "version": version} for alias, version in details.aliases.items()]
        changed = upsert(self._connection, m.registered_model_tags, "value", tags, ["workspace", "key", "name"])
        moved = upsert(self._connection, m.registered_model_aliases, "version", aliases, ["workspace", "name", "alias"])
        return bool(done.rowcount or changed or moved)

    def update_version(self, version: ModelVersion, new: NewVersion) -> bool:
        return VersionWriter(self._connection).update(version, new)

    def add_version(self, new: NewVersion) -> ModelVersion:
        return VersionWriter(self._connection).add(new)

    def add_prompt(self, new: NewPrompt) -> PromptVersion:
        return PromptWriter(self._connection).add(new)
