"""A new version's rows: ours, and MLflow's in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from service.domain.layout import version_uri
from service.domain.model import Lineage, Manifest, ModelVersion, Withdrawal, free_number, is_older, restated
from service.domain.refusals import is_a_prompt, name_of_another_workspace
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.bulk import chunked
from service.stores.milliseconds import milliseconds, now_ms
from service.stores.plain import plain
from service.stores.registration_tables import registrations
from service.usecases.model_ports import NewVersion


class VersionWriter:
    """Numbers and writes versions on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, new: NewVersion) -> ModelVersion:
        """See `service.usecases.model_ports.Models.add_version`."""
        self.own(new.model, new.workspace, new.creation_time)
        existing = self._already(new)
        if existing is not None:
            return existing
        version = self.write(new, self.free_number(new.model, new.number))
        source = version_uri(version.digest)
        self.write_mlflow(new, version.version, source, source, milliseconds(version.created_at))
        return version

    def write(self, new: NewVersion, number: int) -> ModelVersion:
        """Our row and the manifest."""
        self._add_manifest(new.manifest)
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
                created_at=datetime.now(UTC),
            )
            .returning(t.versions)
        ).one()
        return version_of(row)

    def own(self, name: str, workspace: str, created: int | None) -> bool:
        """See `service.usecases.model_ports.Models.own`."""
        fresh: dict[str, Any] = {"workspace": workspace or None, "lineage": {}, "created_at": sa.func.now()}
        made = self._connection.scalar(
            insert(t.models)
            .values(name=name, **fresh)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={**fresh, "deleted_at": None, "deleted_by": None},
                where=t.models.c.deleted_at.is_not(None),
            )
            .returning(t.models.c.name)
        )
        owner = self._connection.scalar(
            sa.select(t.models.c.workspace).where(t.models.c.name == name).with_for_update()
        )
        if made and self._was_prompt(name):
            raise is_a_prompt(name, "model_name")
        if made and mlflow_has_model(self._connection, name):
            owner = None  # MLflow had it, without a workspace
        if (owner or "") != workspace:
            raise name_of_another_workspace(name)
        at = created or now_ms()
        self._connection.execute(
            insert(cast(sa.Table, m.registered_models))
            .values(workspace=m.WORKSPACE, name=name, creation_time=at, last_updated_time=at)
            .on_conflict_do_nothing()
        )
        return made is not None

    def _was_prompt(self, name: str) -> bool:
        """Of a name that has just become a model's."""
        by_import = sa.select(t.prompts.c.name).where(t.prompts.c.name == name)
        return self._connection.execute(sa.union_all(by_import, tagged_prompt(name))).first() is not None

    def update(self, version: ModelVersion, new: NewVersion) -> bool:
        """See `service.usecases.model_ports.Models.update_version`."""
        lineage = plain(new.lineage)
        if is_older(lineage, version.lineage.exported_at):
            return False
        v, g = t.versions, m.model_versions
        ours = (v.c.model == version.model) & (v.c.version == version.version)
        said = restated(lineage)
        self._connection.execute(sa.update(v).where(ours).values(lineage=v.c.lineage.concat(sa.cast(said, JSONB))))
        described = self._connection.execute(
            sa.update(v)
            .where(ours, v.c.description.is_distinct_from(new.description))
            .values(description=new.description)
        )
        theirs = (g.c.workspace == m.WORKSPACE) & (g.c.name == version.model) & (g.c.version == version.version)
        wanted = {"description": new.description or None, "status": new.status}
        differs = sa.or_(*(g.c[column].is_distinct_from(value) for column, value in wanted.items()))
        later = sa.func.greatest(g.c.last_updated_time, new.last_updated_time)
        done = self._connection.execute(
            sa.update(g)
            .where(theirs, differs | g.c.last_updated_time.is_distinct_from(later))
            .values(**wanted, last_updated_time=later)
        )
        tags = upsert(
            self._connection,
            m.model_version_tags,
            "value",
            [
                {
                    "workspace": m.WORKSPACE,
                    "name": version.model,
                    "version": version.version,
                    "key": key,
                    "value": value,
                }
                for key, value in (new.tags or {}).items()
            ],
            ["workspace", "key", "name", "version"],
        )
        stage = version.lineage.original_stage
        staged = stage != said.get("original_stage", stage)
        return bool(done.rowcount or described.rowcount or tags or staged)

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
                t.versions.c.deleted_at.is_(None),
            )
        ).first()
        return version_of(row) if row else None

    def free_number(self, model: str, wanted: int | None = None) -> int:
        """One that no version has or had; the model is locked."""
        v, r = m.model_versions, registrations
        taken: set[int] = set()
        for column, here in (
            (v.c.version, (v.c.workspace == m.WORKSPACE) & (v.c.name == model)),
            (t.versions.c.version, t.versions.c.model == model),
            (r.c.version, r.c.model == model),
        ):
            taken.update(self._connection.scalars(sa.select(column).where(here)))
        return free_number(taken, wanted)

    def _add_manifest(self, manifest: Manifest) -> None:
        files = json.loads(manifest.document())["files"]
        self._connection.execute(
            insert(t.manifests).values(digest=manifest.digest, size=manifest.size, files=files).on_conflict_do_nothing()
        )

    def write_mlflow(self, new: NewVersion, number: int, source: str, location: str | None, now: int) -> None:
        """MLflow's row and tags; `now` is in milliseconds since 1970."""
        created = new.creation_time or now
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
                storage_location=location,
                run_id=new.run_id or None,
                run_link=new.run_link or None,
                status=new.status,
                status_message=new.status_message or None,
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


def upsert(
    connection: sa.Connection, table: sa.TableClause, value: str, rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> int:
    """Insert, or set `value` where another one is; answers with the number of rows that changed."""
    changed = 0
    for chunk in chunked(rows):
        statement = insert(cast(sa.Table, table)).values(chunk)
        changes = table.c[value].is_distinct_from(statement.excluded[value])
        done = connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_={value: statement.excluded[value]}, where=changes)
        )
        changed += done.rowcount
    return changed


def mlflow_has_model(connection: sa.Connection, name: str) -> bool:
    r = m.registered_models
    return connection.scalar(sa.select(r.c.name).where(r.c.name == name, r.c.workspace == m.WORKSPACE)) is not None


def tagged_prompt(name: str) -> sa.Select[tuple[str]]:
    """The name, when MLflow's registry has it as that of a prompt."""
    g = m.registered_model_tags.c
    return sa.select(g.name).where(
        g.workspace == m.WORKSPACE, g.name == name, g.key == "mlflow.prompt.is_prompt", g.value == "true"
    )


def version_of(row: sa.Row[Any]) -> ModelVersion:
    withdrawn = None
    if row.withdrawn_at is not None:
        withdrawn = Withdrawal(row.withdrawn_reason, row.withdrawn_by, row.withdrawn_at)
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
        lineage=Lineage.of(row.lineage),
        withdrawn=withdrawn,
    )
