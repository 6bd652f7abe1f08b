"""Which of the export's files are the bytes of a registered version."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter
from pathlib import PurePosixPath

from service.domain.errors import TooLarge
from service.exports.records import RunRecord, VersionRecord
from service.exports.survey import ArtifactFile, Survey, files_below

COPIES = 20
"""How many versions may be copies of one another."""
MAX_FILES = 2_000_000
"""Of all versions: each has a key and a row in its manifest."""
_path = attrgetter("path")


@dataclass(frozen=True)
class VersionFiles:
    """`artifact_path` is relative to the run's artifacts; empty for a logged model or a model at their root.

    `beside` is the folder of the version's own files, when they come from there. Versions with the same `place`, a
    folder of the archive and a path below it, have the same files.
    """

    files: list[ArtifactFile]
    artifact_path: str
    model_id: str
    beside: str = ""
    place: tuple[str, str] = ("", "")


def version_files(survey: Survey, version: VersionRecord, folder: str = "") -> VersionFiles:
    """Those of one version; `VersionSources` is for many."""
    return VersionSources(survey).of(version, folder)


class VersionSources:
    """Finds the files of an export's versions, thousands of which may be of the same run or copies of one another.

    What they have in common is looked up once, so that all of them take no more time than the export is long.
    """

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._numbers: dict[str, dict[str, VersionRecord]] = {}
        self._outputs: dict[str, dict[str, list[str]]] = {}
        self._in_order: dict[str, list[ArtifactFile]] = {}
        self._roots: dict[str, str | None] = {}
        self._found: dict[tuple[str, str], list[ArtifactFile]] = {}
        self._files = 0

    def of(self, version: VersionRecord, folder: str = "") -> VersionFiles:
        """No files when the export does not hold them.

        A version's `source` names a logged model (`models:/m-…`), another version that it is a copy of (`models:/…/1`)
        or a folder of its run's artifacts, as a path or a URI of the workspace it comes from. Only text is compared:
        nothing is ever fetched from it. `folder` is where the version's model is described: some exports hold a copy
        of the version's own files there, which serves when nothing else does.

        Raises TooLarge when the versions have more than MAX_FILES files.
        """
        found = self._sourced(version)
        return found if found.files else self._beside(version, folder, found)

    def below(self, folder: str, path: str) -> list[ArtifactFile]:
        """The artifacts of `folder` at or below `path`, with paths relative to it, by path; not to be changed."""
        place = (folder, path.strip("/"))
        if place not in self._found:
            self._found[place] = files_below(self._between(*place), place[1])
            self._files += len(self._found[place])
            if self._files > MAX_FILES:
                raise TooLarge(f"The export's versions have more than {MAX_FILES} files, at {folder}.", file=folder)
        return self._found[place]

    def _between(self, folder: str, path: str) -> list[ArtifactFile]:
        if folder not in self._in_order:
            self._in_order[folder] = sorted(self._survey.artifacts.get(folder, ()), key=_path)
        files = self._in_order[folder]
        # What begins with `path/` comes before `path0`, the next character after the slash.
        return (
            files[bisect_left(files, path + "/", key=_path) : bisect_left(files, path + "0", key=_path)]
            if path
            else files
        )

    def _sourced(self, version: VersionRecord, copies: int = COPIES) -> VersionFiles:
        survey = self._survey
        model_id = version.model_id or (
            version.source.removeprefix("models:/") if version.source.startswith("models:/m-") else ""
        )
        if model_id in survey.logged_models:
            return self._logged(model_id)
        copied = self._copied(version.source)
        if copied is not None and copies:
            return self._sourced(copied, copies - 1)
        run = survey.runs.get(version.run_id)
        path = None if run is None else artifact_path(version, run)
        if run is None or path is None:
            return VersionFiles([], "", model_id)
        files = self.below(run.folder, path)
        if files:
            return VersionFiles(files, path, "", place=(run.folder, path.strip("/")))
        named = self._outputs_of(run).get(path, ())
        return self._logged(named[0]) if len(named) == 1 else VersionFiles([], path, "")

    def _outputs_of(self, run: RunRecord) -> dict[str, list[str]]:
        """The logged models that the run made, by name."""
        if run.run_id not in self._outputs:
            made = self._outputs[run.run_id] = {}
            for model_id, _ in run.model_outputs:
                if model_id in self._survey.logged_models:
                    made.setdefault(self._survey.logged_models[model_id].name, []).append(model_id)
        return self._outputs[run.run_id]

    def _copied(self, source: str) -> VersionRecord | None:
        name, slash, number = source.removeprefix("models:/").rpartition("/")
        model = self._survey.models.get(name) if slash and source.startswith("models:/") else None
        if model is None:
            return None
        if name not in self._numbers:
            # Of a number that is there twice, the first.
            self._numbers[name] = {str(of.version): of for of in reversed(model.versions)}
        return self._numbers[name].get(number)

    def _beside(self, version: VersionRecord, folder: str, otherwise: VersionFiles) -> VersionFiles:
        """`version_models/<number>` or `version_model` beside the model's file; the model may lie one folder deeper."""
        base = folder + "/" if folder else ""
        for place in (f"{base}version_models/{version.version}", f"{base}version_model"):
            root = self._root(place)
            if root is not None:
                return VersionFiles(self.below(place, root), "", "", place, place=(place, root.strip("/")))
        return otherwise

    def _root(self, folder: str) -> str | None:
        if folder not in self._roots:
            paths = [file.path for file in self._survey.artifacts.get(folder, ())]
            roots = [path.removesuffix("MLmodel") for path in paths if PurePosixPath(path).name == "MLmodel"]
            self._roots[folder] = min(roots, key=len, default=None)
        return self._roots[folder]

    def _logged(self, model_id: str) -> VersionFiles:
        folder = self._survey.logged_models[model_id].folder
        return VersionFiles(self.below(folder, ""), "", model_id, place=(folder, ""))


def artifact_path(version: VersionRecord, run: RunRecord) -> str | None:
    """The source relative to the run's artifacts: '' for their root, None when it lies elsewhere.

    The run's own artifact root is tried first, since a root may itself contain the word `artifacts`.
    """
    for source in (version.source.rstrip("/"), version.download_uri.rstrip("/")):
        for root in (version.run_artifact_uri, run.artifact_uri):
            base = root.rstrip("/")
            if base and (source == base or source.startswith(base + "/")):
                return source[len(base) :].strip("/")
        for marker in (f"/{run.run_id}/artifacts", f"runs:/{run.run_id}"):
            _, found, rest = source.rpartition(marker)
            if found and (not rest or rest.startswith("/")):
                return rest.strip("/")
    return None
