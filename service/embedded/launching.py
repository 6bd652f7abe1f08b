"""Starts several parts side by side from one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from service.embedded.parts import Part


class Launching:
    """Prepares the parts in `threads`, launches each from the calling thread, asks until all are ready.

    They are not launched in `threads`, because the kernel ends a child with the thread that started it.
    """

    def __init__(self, parts: Iterable[Part], threads: Executor, say: Callable[[str], None]) -> None:
        self._preparing = [(part, threads.submit(part.prepare)) for part in parts]
        self._launched: list[Part] = []
        self._say = say

    def step(self) -> bool:
        """Whether all are ready.

        Raises:
            PartError: one of them cannot start.
        """
        for part, preparation in list(self._preparing):
            if preparation.done():
                preparation.result()
                part.launch()
                self._preparing.remove((part, preparation))
                self._launched.append(part)
        for part in list(self._launched):
            if part.ready():
                self._say(f"{part.name} is ready")
                self._launched.remove(part)
        return not self._preparing and not self._launched
