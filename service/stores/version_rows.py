"""A new version's rows: ours, and MLflow's in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.errors import Conflict
from service.domain.layout import version_uri
from service.domain.model import Lineage, Manifest, ModelVersion
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.plain import plain
from service.usecases.ports import NewVersion

_LINEAGE_FIELDS = {field.name for field in fields(Lineage)}


class VersionWriter:
    """Numbers and writes versions on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, new: NewVersion) -> ModelVersion:
        """See `service.usecases.ports.Models.add_version`."""
        self._own(new)
        existing = self._already(new)
        if existing is not None:
            return existing
        number = self._free_number(new)
        self._add_manifest(new.manifest)
        now = datetime.now(UTC)
        row = self._connection.execute(
            sa.insert(t.versions)
            .values(
                model=new.model,
                version=number,
                digest=new.manifest.digest,
                size=new.manifest.size,
                run_id=new.run_id,
                description=new.description,
                flavors=plain(new.flavors),
                signature=sa.null() if new.signature is None else plain(new.signature),
                lineage=plain({**asdict(Lineage()), **new.lineage}),
                workspace=new.workspace,
                original_model=new.original_model,
                original_version=new.original_version,
                created_by=new.created_by,
                created_at=now,
            )
            .returning(t.versions)
        ).one()
        self._add_mlflow_version(new, number, round(now.timestamp() * 1000))
        return version_of(row)

    def _own(self, new: NewVersion) -> None:
        """Lock the model's row, creating it for the workspace when the name is free on both sides."""
        made = self._connection.scalar(
            insert(t.models)
            .values(name=new.model, workspace=new.workspace or None)
            .on_conflict_do_nothing()
            .returning(t.models.c.name)
        )
        owner = self._connection.scalar(
            sa.select(t.models.c.workspace).where(t.models.c.name == new.model).with_for_update()
        )
        if made and mlflow_has_model(self._connection, new.model):
            owner = None  # MLflow had it, without a workspace
        if (owner or "") != new.workspace:
            raise Conflict(
                f"The model name {new.model!r} belongs to another workspace; choose another name with model_name.",
                field="model_name",
            )
        created = new.creation_time or _now_ms()
        self._connection.execute(
            insert(cast(sa.Table, m.registered_models))
            .values(workspace=m.WORKSPACE, name=new.model, creation_time=created, last_updated_time=created)
            .on_conflict_do_nothing()
        )

    def _already(self, new: NewVersion) -> ModelVersion | None:
        """The version made from the same original with the same bytes, if there is one."""
        if not new.original_version:
            return None
        row = self._connection.execute(
            sa.select(t.versions).where(
                t.versions.c.model == new.model,
                t.versions.c.workspace == new.workspace,
                t.versions.c.original_model == new.original_model,
                t.versions.c.original_version == new.original_version,
                t.versions.c.digest == new.manifest.digest,
            )
        ).first()
        return version_of(row) if row else None

    def _free_number(self, new: NewVersion) -> int:
        v = m.model_versions
        here = (v.c.workspace == m.WORKSPACE) & (v.c.name == new.model)
        taken = set(self._connection.scalars(sa.select(v.c.version).where(here)))
        taken.update(self._connection.scalars(sa.select(t.versions.c.version).where(t.versions.c.model == new.model)))
        if new.number is not None and new.number not in taken:
            return new.number
        return max(taken, default=0) + 1

    def _add_manifest(self, manifest: Manifest) -> None:
        files = json.loads(manifest.document())["files"]
        self._connection.execute(
            insert(t.manifests).values(digest=manifest.digest, size=manifest.size, files=files).on_conflict_do_nothing()
        )

    def _add_mlflow_version(self, new: NewVersion, number: int, now: int) -> None:
        created = new.creation_time or now
        source = version_uri(new.manifest.digest)
        self._connection.execute(
            sa.insert(m.model_versions).values(
                workspace=m.WORKSPACE,
                name=new.model,
                version=number,
                creation_time=created,
                last_updated_time=new.last_updated_time or created,
                description=new.description or None,
                user_id=new.user or None,
                current_stage="None",
                source=source,
                storage_location=source,
                run_id=new.run_id or None,
                run_link=new.run_link or None,
                status="READY",
                status_message=None,
            )
        )
        self._insert_all(
            m.model_version_tags,
            (
                {"workspace": m.WORKSPACE, "name": new.model, "version": number, "key": key, "value": value}
                for key, value in (new.tags or {}).items()
            ),
        )

    def _insert_all(self, table: sa.TableClause, rows: Iterable[dict[str, Any]]) -> None:
        listed = list(rows)
        if listed:
            self._connection.execute(sa.insert(table), listed)


def mlflow_has_model(connection: sa.Connection, name: str) -> bool:
    r = m.registered_models
    return connection.scalar(sa.select(r.c.name).where(r.c.name == name, r.c.workspace == m.WORKSPACE)) is not None


def version_of(row: sa.Row[Any]) -> ModelVersion:
    known = {key: value for key, value in row.lineage.items() if key in _LINEAGE_FIELDS}
    return ModelVersion(
        model=row.model,
        version=row.version,
        digest=row.digest,
        size=row.size,
        run_id=row.run_id,
        description=row.description,
        created_by=row.created_by,
        created_at=row.created_at,
        flavors=row.flavors,
        signature=row.signature,
        lineage=Lineage(**known),
    )


def _now_ms() -> int:
    return round(datetime.now(UTC).timestamp() * 1000)
