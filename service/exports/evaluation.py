"""Evaluation datasets of an export: one `evaluation_dataset.json` each, with all records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.exports.documents import EXPERIMENT_ID, read_tool
from service.exports.fields import Fields
from service.exports.plain import MAX_DEPTH, shallow
from service.exports.records import ToolRecord

DATASET_ID = 36
_SOURCES = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")
_KNOWN = {
    *("dataset_id", "name", "digest", "schema", "profile", "tags", "created_time", "last_update_time"),
    *("created_by", "last_updated_by", "experiment_ids", "records", "source", "source_type"),
    *("_created_time", "_last_update_time"),
}


@dataclass(frozen=True)
class DatasetRow:
    """One record of a dataset; `inputs`, `outputs`, `expectations`, `tags` and `source` are JSON texts or None."""

    record_id: str
    inputs: str
    input_hash: str
    outputs: str | None
    expectations: str | None
    tags: str | None
    source: str | None
    source_id: str | None
    source_type: str | None
    creation_time: int | None
    last_update_time: int | None
    created_by: str | None
    last_updated_by: str | None


@dataclass(frozen=True)
class EvaluationDatasetRecord:
    dataset_id: str
    name: str
    digest: str | None
    schema: str | None
    profile: str | None
    creation_time: int | None
    last_update_time: int | None
    created_by: str | None
    last_updated_by: str | None
    tags: Mapping[str, str]
    experiment_ids: Sequence[str]
    rows: Sequence[DatasetRow]
    unknown: Mapping[str, Any]
    tool: ToolRecord


def read_evaluation_dataset(document: dict[str, Any], file: str) -> EvaluationDatasetRecord:
    """Raises ExportRefused naming the field."""
    dataset = Fields(document, file).object("mlflow").object("evaluation_dataset")
    rows = tuple(_row(row) for row in dataset.objects("records"))
    if len({row.record_id for row in rows}) < len(rows):
        raise dataset.refuse("records", "records with ids of their own")
    experiment_ids = dataset.texts("experiment_ids")
    for experiment_id in experiment_ids:
        dataset.storable(experiment_id, "experiment_ids", EXPERIMENT_ID)
    return EvaluationDatasetRecord(
        dataset_id=dataset.required("dataset_id", DATASET_ID),
        name=dataset.required("name", 255),
        digest=dataset.maybe("digest", 64),
        schema=dataset.maybe("schema"),
        profile=dataset.maybe("profile"),
        creation_time=dataset.integer("created_time"),
        last_update_time=dataset.integer("last_update_time"),
        created_by=dataset.maybe("created_by", 255),
        last_updated_by=dataset.maybe("last_updated_by", 255),
        tags=dataset.mapping("tags", 255, 5000),
        experiment_ids=tuple(dict.fromkeys(experiment_ids)),
        rows=rows,
        unknown=dataset.rest(_KNOWN),
        tool=read_tool(document, file),
    )


def _row(row: Fields) -> DatasetRow:
    inputs = row.object("inputs")
    source = row.optional("source")
    if source.data and source.text("source_type").upper() not in _SOURCES:
        raise source.refuse("source_type", "one of " + ", ".join(_SOURCES))
    return DatasetRow(
        record_id=row.required("dataset_record_id", DATASET_ID),
        inputs=_json(row, "inputs") or "{}",
        # As MLflow computes it: records of a dataset are told apart by their inputs.
        input_hash=hashlib.sha256(json.dumps(inputs.data, sort_keys=True).encode()).hexdigest(),
        outputs=_json(row, "outputs"),
        expectations=_object(row, "expectations"),
        tags=_object(row, "tags"),
        source=_source(source),
        source_id=row.maybe("source_id", DATASET_ID),
        source_type=source.maybe("source_type", 255) or row.maybe("source_type", 255),
        creation_time=row.integer("created_time"),
        last_update_time=row.integer("last_update_time"),
        created_by=row.maybe("created_by", 255),
        last_updated_by=row.maybe("last_updated_by", 255),
    )


def _source(source: Fields) -> str | None:
    """The two fields that MLflow reads it back by, and no others, which it could not read."""
    if not source.data:
        return None
    data = json.loads(_object(source, "source_data") or "{}")
    return json.dumps({"source_type": source.text("source_type"), "source_data": data})


def _object(row: Fields, name: str) -> str | None:
    row.optional(name)
    return _json(row, name)


def _json(row: Fields, name: str) -> str | None:
    """The field as JSON text. Raises ExportRefused for what MLflow's JSON columns do not hold."""
    value = row.data.get(name)
    if value is None:
        return None
    if not shallow(value):
        raise row.refuse(name, f"nested at most {MAX_DEPTH} levels deep")
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        raise row.refuse(name, "free of NaN and infinities, which MLflow's JSON columns do not hold") from None
