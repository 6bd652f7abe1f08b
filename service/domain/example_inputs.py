"""Inputs that fit a model's signature, as an example of what it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VALUES: Mapping[str, Any] = {
    "double": 1.0,
    "float": 1.0,
    "integer": 1,
    "long": 1,
    "boolean": True,
    "string": "text",
    "binary": "Ynl0ZXM=",
    "datetime": "2026-01-01T00:00:00",
}
DTYPES: Mapping[str, str] = {
    "double": "float64",
    "float": "float32",
    "integer": "int32",
    "long": "int64",
    "boolean": "bool",
    "datetime": "datetime64[ns]",
}
"""What a column of a data frame has to be; what is not here stays as it is."""


@dataclass(frozen=True)
class Column:
    """`name` is None for a column that the signature does not name; `type` is MLflow's, '' for anything else."""

    name: str | None
    type: str

    @property
    def value(self) -> Any:
        return _VALUES.get(self.type, "text")


@dataclass(frozen=True)
class Tensor:
    """`shape` with 1 for each dimension that may be any."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Inputs:
    """Columns or tensors, or neither when there is no signature, or one that is not understood."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()

    @property
    def named(self) -> bool:
        return bool(self.columns) and all(column.name is not None for column in self.columns)


def inputs_of(signature: Mapping[str, Any] | None) -> Inputs:
    """Of the `signature` of an MLmodel file, whatever is in it; each part may still be JSON text."""
    rows = (signature or {}).get("inputs")
    if isinstance(rows, str):
        try:
            rows = json.loads(rows)
        except (ValueError, RecursionError):
            return Inputs()
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return Inputs()
    tensors = tuple(tensor for row in rows if (tensor := _tensor(row)) is not None)
    if tensors:
        return Inputs(tensors=tensors) if len(tensors) == len(rows) else Inputs()
    return Inputs(columns=tuple(_column(row) for row in rows))


def _column(row: Mapping[str, Any]) -> Column:
    name, kind = row.get("name"), row.get("type")
    return Column(name if isinstance(name, str) else None, kind if isinstance(kind, str) and kind in _VALUES else "")


def _tensor(row: Mapping[str, Any]) -> Tensor | None:
    spec = row.get("tensor-spec")
    if row.get("type") != "tensor" or not isinstance(spec, dict):
        return None
    shape, name = spec.get("shape"), row.get("name")
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not all(type(size) is int for size in shape):
        return None
    sizes = tuple(1 if size < 0 else min(size, 1000) for size in shape)
    return Tensor(name if isinstance(name, str) else None, str(spec.get("dtype", "float64")), sizes)
