"""Registered models, their versions, and the exact bytes of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, order=True)
class ManifestFile:
    """One file of a version: path relative to the model's root, size in bytes, lower-case hex SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a version, sorted by path (code points)."""

    files: tuple[ManifestFile, ...]

    @classmethod
    def of(cls, files: Iterable[ManifestFile]) -> Manifest:
        return cls(tuple(sorted(files)))

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def document(self) -> bytes:
        """The canonical JSON whose SHA-256 is the version's digest (UTF-8, no spaces, keys sorted)."""
        rows = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in self.files]
        text = json.dumps({"files": rows}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode()

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.document()).hexdigest()

    def file(self, path: str) -> ManifestFile | None:
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from, as the source said it; empty or None where it did not say.

    Times are milliseconds since 1970 (UTC), as MLflow keeps them. `archive_digest` names the archive
    that carried the version here; `source` collects what has no field of its own (notebook, git, stage).
    """

    workspace: str = ""
    original_run_id: str = ""
    run_id: str = ""
    artifact_path: str = ""
    experiment: str = ""
    experiment_id: str = ""
    user: str = ""
    run_start_time: int | None = None
    run_end_time: int | None = None
    original_model: str = ""
    original_version: str = ""
    original_stage: str = ""
    original_source: str = ""
    notebook: str = ""
    git_commit: str = ""
    git_url: str = ""
    tool_version: str = ""
    mlflow_version: str = ""
    tracking_uri: str = ""
    exported_at: int | None = None
    import_id: str = ""
    archive_digest: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Lineage:
        """Without what other releases wrote into it."""
        return cls(**{key: value for key, value in said.items() if key in _LINEAGE_FIELDS})


_LINEAGE_FIELDS = {each.name for each in fields(Lineage)}


def is_older(lineage: Mapping[str, Any], than: int | None) -> bool:
    """Whether an export was written before another one that was taken in already (both may not say)."""
    exported_at = lineage.get("exported_at")
    return exported_at is not None and than is not None and exported_at < than


def restated(lineage: Mapping[str, Any]) -> dict[str, Any]:
    """What a later export says anew of a version that is here already, as far as it speaks of it."""
    return {key: lineage[key] for key in ("original_stage", "exported_at") if key in lineage}


def free_number(taken: Collection[int], wanted: int | None = None) -> int:
    """The wanted number of a version when nobody has or had it, otherwise the next after the highest."""
    return wanted if wanted is not None and wanted not in taken else max(taken, default=0) + 1


@dataclass(frozen=True)
class Withdrawal:
    """The mark of a version that no stage may hold."""

    reason: str
    by: str
    at: datetime


@dataclass(frozen=True)
class ModelVersion:
    """A version never changes after it is registered; only the mark of its withdrawal comes and goes.

    `flavors` and `signature` are what the version's own MLmodel file says, as plain data.
    """

    model: str
    version: int
    digest: str
    size: int
    run_id: str
    description: str
    created_by: str
    created_at: datetime
    flavors: Mapping[str, Any]
    signature: Mapping[str, Any] | None
    lineage: Lineage
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True)
class RegisteredModel:
    """`workspace` owns the name: only its imports may add versions."""

    name: str
    workspace: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    created_at: datetime
    versions: tuple[int, ...] = ()
