"""What an export holds beside experiments, runs and models: traces, prompts, evaluation datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from service.domain.errors import ExportRefused, TooLarge
from service.exports.archive_limits import Member
from service.exports.evaluation import EvaluationDatasetRecord, read_evaluation_dataset
from service.exports.fields import read_json
from service.exports.prompts import PromptRecord, read_failed, read_prompt
from service.exports.spans import SpanRecord, read_spans, told_trace
from service.exports.traces import TraceRecord, read_failed_traces, read_trace

SPANS = "traces.json"
"""The artifact of a trace that holds its spans; beside the traces, a file of that name lists them."""


@dataclass
class Extras:
    """Traces are kept without their spans, of which only the ids are here, by trace.

    `bad_spans` are files of spans that could not be read, by folder; `failed_…` is what the tool could not export,
    which it names for traces and counts for the others. `copies` are folders of traces that another folder has.
    """

    traces: dict[str, TraceRecord] = field(default_factory=dict)
    failed_traces: list[str] = field(default_factory=list)
    spans: dict[str, list[str]] = field(default_factory=dict)
    bad_spans: dict[str, ExportRefused | TooLarge] = field(default_factory=dict)
    prompts: dict[tuple[str, int], PromptRecord] = field(default_factory=dict)
    failed_prompts: int = 0
    evaluation_datasets: dict[str, EvaluationDatasetRecord] = field(default_factory=dict)
    failed_datasets: int = 0
    copies: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.traces, self.prompts, self.evaluation_datasets))

    def read(self, name: str, document: dict[str, Any], file: str, folder: str) -> object:
        """One document called `name`, which is one of READ; what is kept of it.

        Raises ExportRefused naming the field.
        """
        match name:
            case "trace.json":
                return self._trace(document, file, folder)
            case "traces.json":
                self.failed_traces.extend(failed := read_failed_traces(document, file))
                return failed
            case "prompt.json":
                return self._prompt(document, file)
            case "prompts_summary.json":
                self.failed_prompts += read_failed(document, file)
            case "evaluation_dataset.json":
                return self._evaluation_dataset(document, file)
            case "evaluation_datasets_summary.json":
                self.failed_datasets += read_failed(document, file)
        return None

    def read_spans(
        self, stream: BinaryIO, member: Member, folder: str, on_spans: Callable[[Sequence[SpanRecord]], None]
    ) -> Sequence[str]:
        """Ids of the spans. Whether they must be readable is known only with the trace's own file: older ones stay
        in the artifact.

        The tool names a trace's folder by its id; a file of that name in another folder is an artifact like others.
        """
        try:
            document = read_json(stream, member.size, member.path)
            trace_id = told_trace(document, member.path)
            if folder.rpartition("/")[2] not in ("", trace_id):
                raise ExportRefused("The spans are those of another trace.", file=member.path, field="spans")
            if not trace_id or trace_id in self.spans:
                return ()
            spans = read_spans(document, member.path, trace_id)
        except (ExportRefused, TooLarge) as error:
            # Another of the same words: the traceback of this one holds all that was read.
            self.bad_spans[folder] = type(error)(error.detail, **error.where)
        except RecursionError:
            self.bad_spans[folder] = ExportRefused("The JSON is nested too deep.", file=member.path)
        else:
            self.spans[trace_id] = [span.span_id for span in spans]
            on_spans(spans)
            return self.spans[trace_id]
        return ()

    def check(self) -> None:
        """Raises ExportRefused or TooLarge when spans that MLflow keeps as rows could not be read."""
        for trace in self.traces.values():
            if trace.spans_in_database and trace.folder in self.bad_spans:
                raise self.bad_spans[trace.folder]

    def _trace(self, document: dict[str, Any], file: str, folder: str) -> object:
        record = read_trace(document, file, folder)
        if folder.rpartition("/")[2] not in ("", record.trace_id.rpartition("/")[2]):
            raise ExportRefused(
                f"The trace {record.trace_id[:80]!r} is in the folder of another.",
                file=file,
                field="mlflow.info.trace_id",
            )
        known = self.traces.setdefault(record.trace_id, record)
        if known is record:
            return record
        self.copies[folder] = known.folder
        return folder

    def _prompt(self, document: dict[str, Any], file: str) -> object:
        record = read_prompt(document, file)
        if self.prompts.setdefault((record.name, record.version), record).digest != record.digest:
            raise ExportRefused(
                f"Version {record.version} of the prompt {record.name!r} is in the export twice.",
                file=file,
                field="mlflow.prompt.version",
            )
        return record

    def _evaluation_dataset(self, document: dict[str, Any], file: str) -> object:
        record = read_evaluation_dataset(document, file)
        if self.evaluation_datasets.setdefault(record.dataset_id, record) is not record:
            raise ExportRefused(
                f"The evaluation dataset {record.dataset_id} is in the export twice.",
                file=file,
                field="mlflow.evaluation_dataset.dataset_id",
            )
        return record


READ = (
    *("trace.json", "traces.json", "prompt.json", "prompts_summary.json"),
    *("evaluation_dataset.json", "evaluation_datasets_summary.json"),
)
