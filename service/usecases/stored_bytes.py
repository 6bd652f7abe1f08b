"""Which bytes of versions are there already, so that nobody who reads them sees them written again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from service.domain.layout import version_prefix
from service.domain.model import Manifest
from service.usecases.import_plan import Target
from service.usecases.object_ports import ObjectStore
from service.usecases.ports import RegistryStore


def is_stored(store: RegistryStore, objects: ObjectStore, manifest: Manifest) -> bool:
    """Whether a version has these bytes, no damage of them is known, and each object is there with its size.

    The digest has to be claimed.
    """
    with store.transaction() as tx:
        if not tx.models.has_manifest(manifest.digest) or tx.damages.of(manifest.digest):
            return False
    prefix = version_prefix(manifest.digest)
    there = {info.key: info.size for info in objects.list(prefix)}
    return all(there.get(prefix + file.path) == file.size for file in manifest.files)


def not_stored(
    store: RegistryStore, objects: ObjectStore, targets: Mapping[str, Target], manifests: Iterable[Manifest]
) -> Mapping[str, Target]:
    """The same targets without keys of what is stored; some have none left."""
    unique = {manifest.digest: manifest for manifest in manifests}
    stored = tuple(version_prefix(digest) for digest, each in unique.items() if is_stored(store, objects, each))
    if not stored:
        return targets
    return {
        member: replace(target, keys=tuple(key for key in target.keys if not key.startswith(stored)))
        for member, target in targets.items()
    }
