"""What is being worked out of an import, shared by the modules that plan it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.domain.errors import NotFound
from service.domain.importing import Import
from service.exports.survey import ArtifactFile, Survey
from service.usecases.model_ports import NewVersion
from service.usecases.ports import Transaction
from service.usecases.tracking_ports import CentralIds

RECORDED = "the export tool recorded it as failed"


@dataclass
class Draft:
    """`keys` and `files` by member of the archive; `beside` are folders whose files are a version's alone.

    Versions of the same bytes share their keys, so those of a member are a dict: each once, in order.
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

    def target(self, file: ArtifactFile, key: str) -> None:
        self.files[file.member] = file
        self.keys.setdefault(file.member, {})[key] = None

    @property
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
        try:
            return self.tx.models.imported_run(self.import_.workspace, original).run_id
        except NotFound:
            return ""


def note(rows: list[dict[str, str]], kind: str, names: Iterable[str], reason: str) -> None:
    rows.extend({"kind": kind, "name": name, "reason": reason} for name in names)
