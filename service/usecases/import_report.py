"""What an import found and did, as its report tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from service.domain.environment import Assignment
from service.domain.importing import Import
from service.domain.model import ModelVersion
from service.usecases.import_plan import Plan
from service.usecases.ports import ModelDetails, NewVersion, TrackingCounts

SHOWN = 1000


class Report:
    """Collects while the rows are written."""

    def __init__(self, import_: Import, plan: Plan) -> None:
        self._import = import_
        self._plan = plan
        self._counts: dict[str, dict[str, int]] = {}
        self._experiments: dict[str, str] = {}
        self._versions: list[tuple[NewVersion, ModelVersion]] = []

    def tracking(self, counts: TrackingCounts) -> None:
        self._experiments.update(counts.experiments)
        for what in ("created", "updated", "skipped"):
            for kind, count in getattr(counts, what).items():
                self._count(kind, what, count)

    def version(self, wanted: NewVersion, got: ModelVersion) -> None:
        fresh = got.lineage.import_id == self._import.id
        self._count("versions", "created" if fresh else "skipped", 1)
        self._versions.append((wanted, got))

    def artifacts(self, stored: int) -> None:
        self._count("artifact_files", "created", stored)

    def renumbered(self, model: str, details: ModelDetails) -> ModelDetails:
        """Aliases point to the numbers that the versions got here; those of absent versions are left out."""
        numbers = {wanted.number: got.version for wanted, got in self._versions if wanted.model == model}
        aliases = {alias: numbers[number] for alias, number in details.aliases.items() if number in numbers}
        return replace(details, aliases=aliases)

    def assignments(self, at: datetime) -> Iterator[Assignment]:
        """The source's stages, when the caller named an environment to apply them to; the highest version wins."""
        environment = self._import.options.environment
        if not environment:
            return
        for _, got in sorted(self._versions, key=lambda pair: pair[1].version):
            stage = got.lineage.original_stage
            if stage and stage != "None":
                yield Assignment(
                    environment=environment,
                    model=got.model,
                    stage=stage,
                    version=got.version,
                    digest=got.digest,
                    revision=0,
                    assigned_by=self._import.created_by,
                    assigned_at=at,
                    comment=f"stage of {self._import.workspace}, by import {self._import.id}",
                )

    def document(self) -> dict[str, Any]:
        """Plain JSON; for every kind `created + updated + skipped + failed = found`."""
        for row in self._plan.missing:
            self._count(row["kind"] + "s", "failed", 1)
        for counts in self._counts.values():
            counts["found"] = sum(counts.values())
        return {
            "counts": dict(sorted(self._counts.items())),
            "experiments": [
                {
                    "original_id": record.experiment_id,
                    "original_name": record.name,
                    "name": self._experiments[record.experiment_id],
                }
                for record, _ in self._plan.batch.experiments
            ],
            "versions": [
                {
                    "model": got.model,
                    "version": got.version,
                    "digest": got.digest,
                    "original_model": got.lineage.original_model,
                    "original_version": got.lineage.original_version,
                    "run_id": got.run_id,
                }
                for _, got in self._versions
            ],
            "failed": self._plan.missing[:SHOWN],
            "unread_files": self._plan.unread[:SHOWN],
        }

    def _count(self, kind: str, what: str, count: int) -> None:
        row = self._counts.setdefault(kind, {"created": 0, "updated": 0, "skipped": 0, "failed": 0})
        row[what] += count
