"""What a comparison reads from: the export on one side, MLflow's client on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from service.compare_fields import Difference, differences
from service.compare_files import ProxiedFiles
from service.exports.records import RunRecord
from service.exports.spans import SpanRecord
from service.exports.survey import ArtifactFile, Survey

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


class Ids(Protocol):
    """The ids here of ids there."""

    def run(self, original: str) -> str | None: ...

    def logged_model(self, original: str) -> str | None: ...


@dataclass(frozen=True)
class Reading:
    """One export and one registry. `runs` are whole, `spans` by trace; `report` is the import's.

    `new_ids` are those here of traces and evaluation datasets that have another, by kind and original id.
    """

    client: MlflowClient
    files: ProxiedFiles
    found: Survey
    runs: Mapping[str, RunRecord]
    spans: Mapping[str, Sequence[SpanRecord]]
    report: Mapping[str, Any]
    ids: Ids
    new_ids: Mapping[tuple[str, str], str]

    def here(self, kind: str, original: str) -> str:
        """The id here of a trace or an evaluation dataset."""
        return self.new_ids.get((kind, original), original)

    def row(self, kind: str, **wanted: object) -> Mapping[str, Any] | None:
        """The report's row of `kind` that has these fields."""
        rows: list[dict[str, Any]] = self.report.get(kind, [])
        return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)

    def failed(self, kind: str, name: str) -> bool:
        return any((row["kind"], row["name"]) == (kind, name) for row in self.report["failed"])

    def compare_files(self, where: str, files: Sequence[ArtifactFile], uri: str) -> Iterator[Difference]:
        expected = {file.path: file.sha256 for file in files}
        yield from differences(where, {"artifacts": (expected, self.files.digests(uri))})


def there(ask: Callable[..., Any], *names: str) -> Any:
    """What the client answers; None when the registry does not have it."""
    try:
        return ask(*names)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise
