"""Read fields of an export's JSON, naming file and field of whatever does not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

from service.domain.errors import ExportRefused
from service.exports.budget import check_structure
from service.exports.plain import UNSTORABLE, plain

MAX_JSON = 64 * 1024 * 1024
MAX_INT = 2**63 - 1
ANY_LENGTH = 2**31
MAX_REST = 1024 * 1024
NAMES_SHOWN = 500
NAME_SHOWN = 200
_WHOLE = re.compile("-?[0-9]{1,19}")


def read_json(stream: BinaryIO, size: int, file: str) -> dict[str, Any]:
    """The JSON object in `stream`. Bare NaN and Infinity are read, as the export tool writes them.

    Raises:
        ExportRefused: not JSON, not an object, nested too deep, or larger than MAX_JSON bytes.
        TooLarge: it would become too many objects.
    """
    if size > MAX_JSON:
        raise ExportRefused(f"The file is {size} bytes long, more than the {MAX_JSON} that are read.", file=file)
    text = stream.read()
    check_structure(text, file)
    try:
        document = json.loads(text)
    except RecursionError:
        raise ExportRefused("The JSON is nested too deep.", file=file) from None
    except ValueError as error:  # bad UTF-8, bad JSON, a number with thousands of digits
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ExportRefused(f"The file is not JSON{place}.", file=file) from None
    if not isinstance(document, dict):
        raise ExportRefused("The file must hold a JSON object.", file=file)
    return document


class Fields:
    """One JSON object of `file` at `path`; every reader raises ExportRefused naming the field."""

    __slots__ = ("data", "file", "path")

    def __init__(self, data: Mapping[str, Any], file: str, path: str = "") -> None:
        self.data = data
        self.file = file
        self.path = path

    def refuse(self, name: str, expected: str) -> ExportRefused:
        # A key of the export's may be long, or be the very thing that cannot be stored.
        field = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", self._at(name))
        if len(field) > NAME_SHOWN:
            field = field[:NAME_SHOWN] + "…"
        return ExportRefused(f"The field {field} must be {expected}.", file=self.file, field=field)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def object(self, name: str) -> Fields:
        value = self.data.get(name)
        if not isinstance(value, dict):
            raise self.refuse(name, "an object")
        return Fields(value, self.file, self._at(name))

    def optional(self, name: str) -> Fields:
        return self.object(name) if self.data.get(name) is not None else Fields({}, self.file, self._at(name))

    def objects(self, name: str) -> list[Fields]:
        value = self.data.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.refuse(name, "a list of objects")
        return [Fields(item, self.file, f"{self._at(name)}[{index}]") for index, item in enumerate(value)]

    def required(self, name: str, limit: int = ANY_LENGTH) -> str:
        value = self.text(name, limit=limit)
        if not value:
            raise self.refuse(name, "given")
        return value

    def text(self, name: str, default: str = "", *, limit: int = ANY_LENGTH) -> str:
        value = self.data.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.refuse(name, "text")
        return self.storable(str(value), name, limit)

    def storable(self, value: str, name: str, limit: int) -> str:
        """Text that a database column of `limit` characters holds."""
        if len(value) > limit:
            raise self.refuse(name, f"at most {limit} characters long, which is what MLflow's tables hold")
        if UNSTORABLE.search(value):
            raise self.refuse(name, "free of NUL characters and of halves of surrogate pairs")
        return value

    def maybe(self, name: str, limit: int = ANY_LENGTH) -> str | None:
        return None if self.data.get(name) is None else self.text(name, limit=limit)

    def integer(self, name: str) -> int | None:
        value = self.data.get(name)
        if value is None:
            return None
        return self.whole(value, name)

    def whole(self, value: Any, name: str) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INT:
            raise self.refuse(name, "a whole number of at most 64 bits")
        return value

    def number(self, name: str) -> float:
        value = self.data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(name, "a number")
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    def texts(self, name: str) -> list[str]:
        value = self.data.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
            raise self.refuse(name, "a list of texts")
        return [self.storable(str(item), f"{name}[{index}]", ANY_LENGTH) for index, item in enumerate(value)]

    def names(self, name: str) -> list[str]:
        """What a list of mixed shapes names: its texts, and its objects as JSON, cut."""
        value = self.data.get(name)
        found = []
        for index, item in enumerate(value if isinstance(value, list) else ()):
            text = item if isinstance(item, str) else json.dumps(item, sort_keys=True)
            found.append(self.storable(text[:NAMES_SHOWN], f"{name}[{index}]", ANY_LENGTH))
        return found

    def rest(self, known: Collection[str]) -> dict[str, Any]:
        """The fields that are not `known`, as plain data of at most MAX_REST characters."""
        found: dict[str, Any] = {}
        left = MAX_REST
        for name, value in self.data.items():
            if name in known:
                continue
            self.storable(name, name, ANY_LENGTH)
            try:
                found[name] = plain(value)
            except ValueError as error:
                raise self.refuse(name, str(error)) from None
            left -= len(name) + len(json.dumps(found[name]))
            if left < 0:
                raise self.refuse(name, f"shorter: at most {MAX_REST} characters of unknown fields are kept")
        return found

    def mapping(self, name: str, keys: int = 250, values: int = ANY_LENGTH) -> dict[str, str]:
        """A dict of texts, or the same as a list of `{key, value}`: the tool writes both.

        `keys` and `values` are the lengths that MLflow's tables hold.
        """
        value = self.data.get(name)
        if value is None:
            return {}
        pairs = (
            value.items()
            if isinstance(value, dict)
            else [(row.required("key", keys), row.data.get("value")) for row in self.objects(name)]
        )
        return {
            self.storable(key, f"{name}.{key[:80]}", keys): self.storable(_plain(item), f"{name}.{key[:80]}", values)
            for key, item in pairs
        }


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
