"""What is being worked out of an import, shared by the modules that plan it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from service.domain.errors import NotFound
from service.domain.importing import Import
from service.domain.layout import version_prefix
from service.domain.model import Manifest, ManifestFile
from service.exports.budget import Kept
from service.exports.survey import ArtifactFile, Survey
from service.exports.versions import VersionFiles, VersionSources
from service.usecases.model_ports import NewVersion
from service.usecases.ports import Transaction
from service.usecases.tracking_ports import CentralIds

MAX_REMEMBERED = 512 * 1024 * 1024
"""Bytes in memory of what all versions remember of where they come from."""
RECORDED = "the export tool recorded it as failed"


@dataclass
class Draft:
    """`keys` and `files` by member of the archive; `beside` are folders whose files are a version's alone.

    Versions of the same bytes share their keys, so those of a member are a dict: each once, in order. `on_step` is
    called for each part of the work, and may raise to end it.
    """

    tx: Transaction
    import_: Import
    found: Survey
    ids: CentralIds
    keys: dict[str, dict[str, None]] = field(default_factory=dict)
    files: dict[str, ArtifactFile] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    incomplete: list[dict[str, str]] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    versions: list[NewVersion] = field(default_factory=list)
    on_step: Callable[[], None] = lambda: None
    kept: Kept = field(default_factory=lambda: Kept(MAX_REMEMBERED))
    _manifests: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    _runs_here: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sources = VersionSources(self.found)

    def manifest(self, files: VersionFiles) -> Manifest:
        """Of a version's files, which are to be stored under its digest."""
        if files.place not in self._manifests:
            manifest = Manifest.of(ManifestFile(file.path, file.size, file.sha256) for file in files.files)
            prefix = version_prefix(manifest.digest)
            for file in files.files:
                self.target(file, prefix + file.path)
            self._manifests[files.place] = manifest
        return self._manifests[files.place]

    def target(self, file: ArtifactFile, key: str) -> None:
        self.files[file.member] = file
        self.keys.setdefault(file.member, {})[key] = None

    @cached_property
    def partial(self) -> frozenset[str]:
        """Runs that are here in part: the tool recorded them as failed, and left what it had."""
        failed = {run_id for experiment in self.found.experiments.values() for run_id in experiment.failed_runs}
        return frozenset(failed & set(self.found.runs))

    def run_here(self, original: str) -> str:
        """The id here of a run of this export, or of one that the workspace brought before; '' for any other."""
        if original in self.found.runs:
            return self.ids.run(original)
        if not original:
            return ""
        if original not in self._runs_here:
            self.on_step()
            try:
                self._runs_here[original] = self.tx.models.imported_run(self.import_.workspace, original).run_id
            except NotFound:
                self._runs_here[original] = ""
        return self._runs_here[original]


def note(rows: list[dict[str, str]], kind: str, names: Iterable[str], reason: str) -> None:
    rows.extend({"kind": kind, "name": name, "reason": reason} for name in names)
