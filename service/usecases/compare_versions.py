"""Compare two versions of a model: by number, or by the stages that hold them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.domain.comparison import Section, compare, flat
from service.domain.environment import Assignment
from service.domain.errors import InvalidInput
from service.domain.identity import Principal, Scope
from service.domain.model import Manifest, ModelVersion
from service.exports.dependencies import MAX_SIZE, read_conda, read_requirements
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import RegistryStore, Transaction
from service.usecases.read_models import get_version
from service.usecases.verified_bytes import file_bytes

MOST = 5000
"""Params and metrics of a version that are read."""


@dataclass(frozen=True)
class Side:
    """`assignment` is None for a version that was named by its number."""

    version: ModelVersion
    assignment: Assignment | None


@dataclass(frozen=True)
class Comparison:
    before: Side
    after: Side
    sections: Mapping[str, Section]


@dataclass(frozen=True)
class _Content:
    manifest: Manifest
    params: Mapping[str, str]
    metrics: Mapping[str, Any]
    tags: Mapping[str, str]
    dependencies: Mapping[str, str]
    notes: tuple[str, ...]


def compare_versions(
    store: RegistryStore,
    objects: ObjectStore,
    by: Principal,
    model: str,
    before: str,
    after: str,
    equal: bool = False,
) -> Comparison:
    """`before` and `after` are each a version's number or `<environment>:<stage>`; `equal`: with what is the same.

    Raises InvalidInput for what is neither, NotAllowed for an environment that the caller may not read, NotFound for
    a model, version or stage that is not there or, by number, that the caller may not see.
    """
    sides = [_side(store, by, model, text, field) for field, text in (("from", before), ("to", after))]
    old, new = (_content(store, objects, side) for side in sides)
    first, second = (side.version for side in sides)
    notes = tuple(dict.fromkeys((*old.notes, *new.notes)))
    sections = {
        "params": compare(old.params, new.params, equal=equal),
        "metrics": compare(old.metrics, new.metrics, equal=equal),
        "signature": compare(_signature(first), _signature(second), equal=equal),
        "flavors": compare(flat(first.flavors), flat(second.flavors), equal=equal),
        "dependencies": compare(old.dependencies, new.dependencies, equal=equal, notes=notes),
        "files": compare(_files(old.manifest), _files(new.manifest), equal=equal),
        "tags": compare(old.tags, new.tags, equal=equal),
        "lineage": compare(_lineage(first), _lineage(second), equal=equal),
    }
    return Comparison(sides[0], sides[1], sections)


def _side(store: RegistryStore, by: Principal, model: str, text: str, field: str) -> Side:
    if re.fullmatch("[0-9]{1,10}", text):
        return Side(get_version(store, by, model, int(text)), None)
    environment, separator, stage = text.partition(":")
    if not environment or not separator or not stage:
        raise InvalidInput(
            f"{text[:80]!r} is neither a version's number nor <environment>:<stage>.",
            field=field,
        )
    by.require(*(Scope(action, environment) for action in ("read", "promote", "approve")))
    with store.transaction() as tx:
        assignment, version = tx.stages.current(environment, model, stage)
    return Side(version, assignment)


def _content(store: RegistryStore, objects: ObjectStore, side: Side) -> _Content:
    version = side.version
    with store.transaction() as tx:
        manifest = tx.models.manifest(version.digest)
        params = tx.evidence.params(version.run_id, MOST)
        metrics = _metrics(tx, version)
        tags = tx.evidence.tags(version.model, version.version)
    dependencies, notes = _dependencies(objects, version.digest, manifest)
    return _Content(manifest, params, metrics, tags, dependencies, notes)


def _metrics(tx: Transaction, version: ModelVersion) -> dict[str, Any]:
    """The run's by name, evaluations by name and dataset."""
    found = tx.evidence.measured(version, tx.evidence.metric_names(version, MOST))
    values = dict(found.run)
    for each in found.evaluations:
        values[f"{each.metric} (evaluation{f' on {each.dataset}' if each.dataset else ''})"] = each.value
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}


def _signature(version: ModelVersion) -> dict[str, Any]:
    """Each input, output and param by name, or by place where it has none."""
    found: dict[str, Any] = {}
    for part, columns in (version.signature or {}).items():
        if not isinstance(columns, list):
            found |= {part: columns} if columns else {}
            continue
        for place, column in enumerate(columns):
            rest = dict(column) if isinstance(column, dict) else {"type": column}
            found[f"{part}.{rest.pop('name', place)}"] = rest
    return found


def _files(manifest: Manifest) -> dict[str, Any]:
    return {file.path: {"size": file.size, "sha256": file.sha256} for file in manifest.files}


def _lineage(version: ModelVersion) -> dict[str, Any]:
    """What is known of it: an unknown origin is no row."""
    return {name: value for name, value in flat(asdict(version.lineage)).items() if value not in ("", None, {}, [])}


def _dependencies(objects: ObjectStore, digest: str, manifest: Manifest) -> tuple[dict[str, str], tuple[str, ...]]:
    """Of pip, by requirements.txt or else conda.yaml, and of conda; with the names of the files that tell nothing."""
    found: dict[str, str] = {}
    notes: list[str] = []
    conda = _read(objects, digest, manifest, "conda.yaml", notes)
    if conda is not None and (listed := read_conda(conda)) is not None:
        own, pip = listed
        found |= {f"conda {name}": wanted for name, wanted in own.items()}
    else:
        pip = {}
        notes += ["conda.yaml is not readable"] if conda is not None else []
    text = _read(objects, digest, manifest, "requirements.txt", notes)
    if text is not None:
        asked = read_requirements(text)
        notes += ["requirements.txt is not readable"] if asked is None else []
        pip = pip if asked is None else asked
    return found | pip, tuple(notes)


def _read(objects: ObjectStore, digest: str, manifest: Manifest, path: str, notes: list[str]) -> bytes | None:
    """Raises Damaged when the stored bytes are not those that were registered."""
    file = manifest.file(path)
    if file is None:
        return None
    if file.size > MAX_SIZE:
        notes.append(f"{path} is over {MAX_SIZE} bytes and was not read")
        return None
    return b"".join(file_bytes(objects, digest, file))
