"""Versions that an export describes in files of their own, and how many there may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from service.domain.errors import TooLarge
from service.exports.records import RegisteredModelRecord, VersionRecord

MAX_VERSIONS = 10_000
"""Of all models of one import, which writes them in one transaction."""


def check_versions(count: int, file: str) -> None:
    """Raises TooLarge naming the file with which they became too many."""
    if count > MAX_VERSIONS:
        detail = f"The export holds more than {MAX_VERSIONS} versions of models, at {file}: send it in parts."
        raise TooLarge(detail, file=file)


def attach_versions(models: dict[str, RegisteredModelRecord], single_versions: Iterable[RegisteredModelRecord]) -> None:
    """`export-model-version` describes the model in one file and its version in another, in any order."""
    by_model: dict[str, list[RegisteredModelRecord]] = {}
    for single in single_versions:
        by_model.setdefault(single.name, []).append(single)
    for name, singles in by_model.items():
        model = models.get(name, singles[0])
        known = {version.version for version in model.versions}
        added: dict[int, VersionRecord] = {}
        aliases = dict(model.aliases)
        for single in singles:
            aliases |= single.aliases
            for version in single.versions:
                if version.version not in known:
                    added.setdefault(version.version, version)
        versions = sorted((*model.versions, *added.values()), key=lambda version: version.version)
        models[name] = replace(model, versions=tuple(versions), aliases=aliases)
