"""A run's JSON that is too long to be held at once: all of it but the points of its metrics, which become columns.

A run of a million points is 150 MB of JSON and over half a GB as Python objects, but 24 MB as columns.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from service.domain.errors import ExportRefused
from service.exports.fields import Fields
from service.exports.metrics import Columns

BLOCK = 1024 * 1024
POINTS = 10_000
MAX_VALUE = 64 * 1024 * 1024
"""Characters of any one value that is held whole."""

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"[-+.0-9eE]*")
_METRICS = ("mlflow", "metrics")


def read_large_run(stream: BinaryIO, file: str) -> dict[str, Any]:
    """The JSON object in `stream`, with a MetricHistory in the place of each list of points.

    Raises:
        ExportRefused: not JSON, not an object, a value over MAX_VALUE characters, or a point that is none.
    """
    text = _Text(stream, file)
    found = _read(text, file, ())
    text.end()
    if not isinstance(found, dict):
        raise ExportRefused("The file must hold a JSON object.", file=file)
    return found


def _read(text: _Text, file: str, path: tuple[str, ...]) -> Any:
    if path != _METRICS[: len(path)] or text.peek() != "{":
        return text.value()
    if path == _METRICS:
        metrics = Fields({}, file, ".".join(path))
        return {key: _history(text, metrics, key) for key in text.members()}
    return {key: _read(text, file, (*path, key)) for key in text.members()}


def _history(text: _Text, metrics: Fields, key: str) -> Any:
    if text.peek() != "[":
        return text.value()  # not a list of points, as whoever reads the document will say
    columns = Columns(metrics, key)
    points = text.items()
    while some := list(islice(points, POINTS)):
        columns.extend(some)
    return columns.history()


class _Text:
    """The text of `stream` as far as it is needed: a window that grows to hold the value being read."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self._stream = stream
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._window = ""
        self._at = 0
        self._gone = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white space; '' at the end."""
        while True:
            self._at = _SPACE.match(self._window, self._at).end()  # type: ignore[union-attr]  # matches always
            if self._at < len(self._window) or self._ended:
                return self._window[self._at : self._at + 1]
            self._more(BLOCK)

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        wanted = BLOCK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._window, self._at)
            except RecursionError:
                raise ExportRefused("The JSON is nested too deep.", file=self._file) from None
            except ValueError:
                if self._ended:
                    raise self._not_json() from None
            else:
                # A number at the window's end may go on behind it: `1` in `1.5`, of which `1.` is there.
                if self._ended or _NUMBER.match(self._window, end).end() < len(self._window):  # type: ignore[union-attr]
                    self._at = end
                    return value
            if len(self._window) - self._at > MAX_VALUE:
                raise ExportRefused(f"The JSON has a value of over {MAX_VALUE} characters.", file=self._file)
            self._more(wanted)
            wanted *= 2

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; whoever iterates reads each one's value."""
        for _ in self._entries("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise self._not_json()
            self._expect(":")
            yield key

    def items(self) -> Iterator[Any]:
        """The items of the list that begins here."""
        for _ in self._entries("[", "]"):
            yield self.value()

    def end(self) -> None:
        """Raises ExportRefused when anything follows."""
        if self.peek():
            raise self._not_json()

    def _entries(self, opening: str, closing: str) -> Iterator[None]:
        self._expect(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._expect(",")

    def _expect(self, character: str) -> None:
        if self.peek() != character:
            raise self._not_json()
        self._at += 1

    def _more(self, characters: int) -> None:
        data = self._stream.read(characters)
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise self._not_json() from None
        self._gone += self._at
        self._window = self._window[self._at :] + text
        self._at = 0

    def _not_json(self) -> ExportRefused:
        return ExportRefused(f"The file is not JSON (at character {self._gone + self._at}).", file=self._file)
