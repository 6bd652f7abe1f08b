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

from service.domain.errors import ExportRefused, TooLarge
from service.exports.budget import MAX_STRUCTURE, check_structure, structure, too_many
from service.exports.fields import Fields
from service.exports.metrics import MAX_METRICS, Columns

BLOCK = 1024 * 1024
POINTS = 1000
MAX_TEXT = 32 * 1024 * 1024
"""Characters of all that is held beside the points."""
MAX_POINT = 4096
"""Characters of one point."""
MAX_POINTS = 10_000_000
_KEY = MAX_STRUCTURE // MAX_METRICS
"""What a key counts as: with that of a metric come three arrays."""

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"[-+.0-9eE]*")
_METRICS = ("mlflow", "metrics")


def read_large_run(stream: BinaryIO, file: str) -> dict[str, Any]:
    """The JSON object in `stream`, with a MetricHistory in the place of each list of points.

    Raises:
        ExportRefused: not JSON, not an object, or a point that is none.
        TooLarge: over MAX_POINTS points, or too much beside them.
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
        self._text_left = MAX_TEXT
        self._structure_left = MAX_STRUCTURE
        self._points_left = MAX_POINTS

    def peek(self) -> str:
        """The next character that is not white space; '' at the end."""
        while True:
            self._at = _SPACE.match(self._window, self._at).end()  # type: ignore[union-attr]  # matches always
            if self._at < len(self._window) or self._ended:
                return self._window[self._at : self._at + 1]
            self._more(BLOCK)

    def value(self) -> Any:
        """The next value, whole, at the expense of what may be held."""
        value, start = self._decoded(self._text_left)
        text = self._window[start : self._at]
        self._text_left -= len(text)
        self._hold(structure(text))
        return value

    def point(self) -> Any:
        value, start = self._decoded(MAX_POINT)
        if self._at - start > MAX_POINT:
            raise self._too_long()
        self._points_left -= 1
        if self._points_left < 0:
            raise TooLarge(f"{self._file} has more than {MAX_POINTS} points of metrics.", file=self._file)
        return value

    def _hold(self, structures: int) -> None:
        if self._text_left < 0:
            raise self._too_long()
        self._structure_left -= structures
        if self._structure_left < 0:
            raise too_many(self._file)

    def _decoded(self, most: int) -> tuple[Any, int]:
        """The next value and where in the window it begins. One that is not all there may have `most` characters."""
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
                    start, self._at = self._at, end
                    return value, start
            if len(self._window) - self._at > most:
                raise self._too_long()
            self._more(wanted)
            wanted *= 2

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; whoever iterates reads each one's value."""
        for _ in self._entries("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise self._not_json()
            self._hold(_KEY)
            self._expect(":")
            yield key

    def items(self) -> Iterator[Any]:
        """The items of the list that begins here."""
        for _ in self._entries("[", "]"):
            yield self.point()

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
        check_structure(self._window, self._file)  # before anything is made of it

    def _too_long(self) -> TooLarge:
        place = f"at character {self._gone + self._at}"
        return TooLarge(f"{self._file} holds too long a value ({place}), or too many.", file=self._file)

    def _not_json(self) -> ExportRefused:
        return ExportRefused(f"The file is not JSON (at character {self._gone + self._at}).", file=self._file)
