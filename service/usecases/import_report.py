"""What an import found and did, as its report tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.domain.environment import Place
from service.domain.history import ChangeKind
from service.domain.importing import Import
from service.domain.model import ModelVersion
from service.domain.promotion import Promotion
from service.usecases.import_plan import Plan
from service.usecases.model_ports import ModelDetails, NewPrompt, NewVersion, PromptVersion
from service.usecases.promote import Request
from service.usecases.tracking_ports import TrackingCounts

SHOWN = 10_000
"""Rows of each list in a report; how many more there are is told beside."""


class Report:
    """Collects while the rows are written."""

    def __init__(self, import_: Import, plan: Plan) -> None:
        self._import = import_
        self._plan = plan
        self._counts: dict[str, dict[str, int]] = {}
        self._experiments: dict[str, tuple[int, str]] = {}
        self._versions: list[tuple[NewVersion, ModelVersion]] = []
        self._prompts: list[tuple[NewPrompt, PromptVersion]] = []
        self._failed: list[Mapping[str, str]] = list(plan.missing)
        self._models: list[dict[str, str]] = []
        self._incomplete = list(plan.incomplete)
        self._stages: list[dict[str, Any]] = []
        self._instead_of: dict[Place, list[int]] = {}

    def tracking(self, counts: TrackingCounts) -> None:
        self._experiments.update(counts.experiments)
        for what in ("created", "updated", "skipped"):
            for kind, count in getattr(counts, what).items():
                self._count(kind, what, count)
        self._failed += counts.failed

    def model(self, name: str, details: ModelDetails, *, created: bool, changed: bool) -> None:
        self._count("models", "created" if created else "updated" if changed else "skipped", 1)
        self._models.append({"original_name": details.lineage["original_model"], "name": name})

    def is_new(self, got: ModelVersion) -> bool:
        return got.lineage.import_id == self._import.id

    def version(self, wanted: NewVersion, got: ModelVersion, *, changed: bool) -> None:
        self._count("versions", "created" if self.is_new(got) else "updated" if changed else "skipped", 1)
        self._versions.append((wanted, got))

    def prompt(self, wanted: NewPrompt, got: PromptVersion) -> None:
        self._count("prompts", got.change, 1)
        self._prompts.append((wanted, got))

    def artifacts(self, stored: int) -> None:
        self._count("artifact_files", "created", stored)

    def renumbered(self, model: str, details: ModelDetails, known: Callable[[int], int | None]) -> ModelDetails:
        """Aliases point to the numbers that the versions got here; those of versions never taken in are named.

        `known` is the number here of a version that an earlier import brought.
        """
        numbers: dict[int, int] = {
            wanted.number: got.version
            for wanted, got in self._versions
            if wanted.model == model and wanted.number is not None
        }
        aliases = {}
        for alias, number in details.aliases.items():
            here = numbers.get(number) or known(number)
            if here is None:
                reason = f"its version {number} was not taken in"
                self._incomplete.append({"kind": "alias", "name": f"{model}@{alias}", "reason": reason})
            else:
                aliases[alias] = here
        return replace(details, aliases=aliases)

    def places(self) -> set[Place]:
        """Those that the source's stages go into, known before any version is written."""
        environment = self._import.options.environment
        stages = ((version.model, version.lineage["original_stage"]) for version in self._plan.versions)
        return {Place(environment, model, stage) for model, stage in stages if environment and _is_stage(stage)}

    def stages_wanted(self) -> Sequence[Request]:
        """The source's stages, when the caller named an environment to apply them to.

        Of several versions in one stage the highest of the source's numbers wins, as in MLflow's own look-up of a
        stage; the report names the others.
        """
        environment = self._import.options.environment
        if not environment:
            return []
        stages: dict[Place, list[ModelVersion]] = {}
        for wanted, got in sorted(self._versions, key=lambda pair: pair[0].number or 0, reverse=True):
            stage = wanted.lineage["original_stage"]
            if _is_stage(stage):
                stages.setdefault(Place(environment, got.model, stage), []).append(got)
        self._instead_of = {place: [got.version for got in others] for place, (_, *others) in stages.items()}
        comment = f"stage of {self._import.workspace}, by import {self._import.id}"
        return [
            Request(place, version=got.version, comment=comment, kind=ChangeKind.IMPORT)
            for place, (got, *_) in stages.items()
        ]

    def promoted(self, request: Request, promotion: Promotion) -> None:
        row = {"state": promotion.state, "promotion": promotion.id or None, "revision": promotion.revision}
        self._stages.append({**self._stage(request), **row})

    def not_promoted(self, request: Request, problem: Mapping[str, Any]) -> None:
        self._stages.append({**self._stage(request), "state": "refused", "problem": problem})

    def _stage(self, request: Request) -> dict[str, Any]:
        place = request.place
        return {**place._asdict(), "version": request.version, "instead_of": self._instead_of[place]}

    def document(self) -> dict[str, Any]:
        """Plain JSON; for every kind `created + updated + skipped + failed = found`."""
        for row in self._failed:
            self._count(row["kind"] + "s", "failed", 1)
        for counts in self._counts.values():
            counts["found"] = sum(counts.values())
        return {
            "counts": dict(sorted(self._counts.items())),
            "experiments": [
                {
                    "original_id": record.experiment_id,
                    "original_name": record.name,
                    "id": str(self._experiments[record.experiment_id][0]),
                    "name": self._experiments[record.experiment_id][1],
                }
                for record, _ in self._plan.batch.experiments
            ],
            "models": self._models,
            "prompts": [
                {
                    "prompt": got.name,
                    "version": got.version,
                    "original_name": wanted.record.name,
                    "original_version": wanted.record.version,
                }
                for wanted, got in self._prompts
            ],
            **_shown("new_ids", self._plan.new_ids),
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
            "stages": self._stages,
            **_shown("failed", self._failed),
            **_shown("incomplete", self._incomplete),
            **_shown("unread_files", self._plan.unread),
        }

    def _count(self, kind: str, what: str, count: int) -> None:
        row = self._counts.setdefault(kind, {"created": 0, "updated": 0, "skipped": 0, "failed": 0})
        row[what] += count


def _is_stage(name: str) -> bool:
    return name not in ("", "None")


def _shown(name: str, rows: Sequence[Any]) -> dict[str, Any]:
    left = len(rows) - SHOWN
    return {name: list(rows[:SHOWN]), **({f"{name}_not_shown": left} if left > 0 else {})}
