"""A prompt's rows: ours, and those of MLflow, to which it is a registered model with certain tags."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from service.domain.model import free_number
from service.domain.refusals import prompt_name_taken
from service.exports.prompts import RESERVED, PromptRecord
from service.stores import mlflow_tables as m
from service.stores import tables as t
from service.stores.milliseconds import now_ms
from service.stores.plain import plain
from service.usecases.model_ports import NewPrompt, PromptVersion

_IS_PROMPT, _TEXT, _TYPE = RESERVED
_SOURCE = "prompt-template"
"""What MLflow's own store writes for the files that a prompt does not have."""


class PromptWriter:
    """Numbers and writes versions of prompts on one connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, new: NewPrompt) -> PromptVersion:
        """See `service.usecases.model_ports.Models.add_prompt`."""
        self._own(new)
        known = self._already(new)
        if known is not None:
            return PromptVersion(new.name, known, "updated" if self._tag(new, known) else "skipped")
        number = self._free_number(new)
        self._add_version(new, number)
        self._tag(new, number)
        return PromptVersion(new.name, number, "created")

    def _own(self, new: NewPrompt) -> None:
        """Lock the prompt's row, creating it for the workspace when the name is free on both sides."""
        made = self._connection.scalar(
            insert(t.prompts)
            .values(name=new.name, workspace=new.workspace)
            .on_conflict_do_nothing()
            .returning(t.prompts.c.name)
        )
        owner = self._connection.scalar(
            sa.select(t.prompts.c.workspace).where(t.prompts.c.name == new.name).with_for_update()
        )
        key = {"workspace": m.WORKSPACE, "name": new.name}
        created = new.record.creation_time or now_ms()
        fresh = self._connection.scalar(
            insert(cast(sa.Table, m.registered_models))
            .values(**key, creation_time=created, last_updated_time=created)
            .on_conflict_do_nothing()
            .returning(m.registered_models.c.name)
        )
        if owner != new.workspace or (made and not fresh):
            raise prompt_name_taken(new.name)
        if fresh:
            self._connection.execute(sa.insert(m.registered_model_tags).values(**key, key=_IS_PROMPT, value="true"))

    def _already(self, new: NewPrompt) -> int | None:
        """The number of the version made from the same original with the same template."""
        v = t.prompt_versions
        return self._connection.scalar(
            sa.select(v.c.version).where(
                v.c.name == new.name,
                v.c.original_name == new.record.name,
                v.c.original_version == new.record.version,
                v.c.digest == new.record.digest,
            )
        )

    def _free_number(self, new: NewPrompt) -> int:
        v = m.model_versions
        taken = set(
            self._connection.scalars(
                sa.select(v.c.version).where((v.c.workspace == m.WORKSPACE) & (v.c.name == new.name))
            )
        )
        return free_number(taken, new.record.version)

    def _add_version(self, new: NewPrompt, number: int) -> None:
        record = new.record
        self._connection.execute(
            sa.insert(t.prompt_versions).values(
                name=new.name,
                version=number,
                original_name=record.name,
                original_version=record.version,
                digest=record.digest,
                lineage=plain(_lineage(record)),
                import_id=new.import_id,
            )
        )
        created = record.creation_time or now_ms()
        updated = record.last_updated_time or created
        self._connection.execute(
            sa.insert(m.model_versions).values(
                workspace=m.WORKSPACE,
                name=new.name,
                version=number,
                creation_time=created,
                last_updated_time=updated,
                description=record.description or None,
                user_id=record.user or None,
                current_stage="None",
                source=_SOURCE,
                storage_location=_SOURCE,
                run_id=None,
                run_link=None,
                status="READY",
                status_message=None,
            )
        )
        r = m.registered_models
        self._connection.execute(
            sa.update(r)
            .where((r.c.name == new.name) & (r.c.workspace == m.WORKSPACE))
            .values(
                creation_time=sa.func.least(r.c.creation_time, created),
                last_updated_time=sa.func.greatest(r.c.last_updated_time, updated),
            )
        )

    def _tag(self, new: NewPrompt, number: int) -> bool:
        """Whether a tag is new or changed."""
        record = new.record
        tags = {**record.tags, _IS_PROMPT: "true", _TEXT: record.text, _TYPE: "chat" if record.chat else "text"}
        table = m.model_version_tags
        statement = insert(cast(sa.Table, table)).values(
            [
                {"workspace": m.WORKSPACE, "name": new.name, "version": number, "key": key, "value": value}
                for key, value in tags.items()
            ]
        )
        done = self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["workspace", "key", "name", "version"],
                set_={"value": statement.excluded["value"]},
                where=table.c.value.is_distinct_from(statement.excluded["value"]),
            )
        )
        return bool(done.rowcount)


def _lineage(record: PromptRecord) -> dict[str, Any]:
    return {
        "tool_version": record.tool.package_version,
        "mlflow_version": record.tool.mlflow_version,
        "tracking_uri": record.tool.tracking_uri,
        "exported_at": record.tool.exported_at,
        **({"unknown": record.unknown} if record.unknown else {}),
    }
