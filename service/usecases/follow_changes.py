"""Follow the audit trail: what it changes is kept no longer, and whoever watches that is woken.

Rows of the trail become visible in the order of their numbers, since whoever may add one commits next. So all that was
committed before a moment is known to whoever reads, from that moment on, every row behind the last one known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from service.domain.errors import Busy, RegistryError, Unavailable
from service.usecases.hand_out_ports import HandOut, Holding, Logged, Read

log = logging.getLogger(__name__)

PAGE = 1000
RECENT = 1000
TICK = 1.0
"""Seconds after which followers look without having been told to."""
ENTRY = 1024
"""Bytes that a kept value takes beside its own."""
TAG = 400
"""Bytes that each of its tags takes beside its letters: the tag itself, and where it is looked up."""

Tag = tuple[str, ...]


def place_tags(environment: str, model: str) -> tuple[Tag, ...]:
    return (environment, model), ("", model), (environment, "")


def holding_tags(asked: Holding) -> tuple[Tag, ...]:
    whose = [(asked.environment, model) for model in asked.models] or [(asked.environment, "*")]
    return (*whose, (asked.environment, ""))


def token_tag(token_id: str) -> Tag:
    return "token", token_id, ""


def _tags(row: Logged) -> tuple[Tag, ...]:
    """What the row says is different now; too much rather than too little."""
    if row.action.endswith((".read", ".handed_out")):
        return ()
    if row.action.startswith("token."):
        return (token_tag(row.subject),)
    if row.environment and row.model:
        return (row.environment, row.model), (row.environment, "*")
    return ((row.environment, row.model),)


class Watcher:
    """Somebody who waits. `gone` tells whether nobody is there any more to be told."""

    def __init__(self, tags: Collection[Tag], gone: Callable[[], bool]) -> None:
        self.tags = frozenset(tags)
        self.gone = gone
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float) -> bool:
        """Until something of the tags may be different or the wait is to end; false when the time is over."""
        woken = self._woken.wait(max(0.0, seconds))
        self._woken.clear()
        return woken


class Look:
    """At what is new in the trail. `over` is set in any case."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failed = True


class Following:
    """What one process keeps and who watches in it. Nothing is connected, and no thread started, before it is needed.

    Args:
        room: bytes for what is kept.
        watchers: how many may wait at a time.
    """

    def __init__(self, store: HandOut, room: int = 64 * 1024 * 1024, watchers: int = 2000) -> None:
        self._store = store
        self._room = room
        self._most = watchers
        self._state = threading.RLock()
        self._turn = threading.Lock()
        self._made = 0
        self._begun = Look()
        self._begun.over.set()
        self._gathering: Look | None = None
        self._position: int | None = None
        self._kept: dict[Hashable, tuple[Any, int, tuple[Tag, ...]]] = {}
        self._size = 0
        self._keys: dict[Tag, set[Hashable]] = {}
        self._recent: deque[Logged] = deque()
        self._recent_after = 0
        self._watchers: dict[Watcher, None] = {}
        self._thread: threading.Thread | None = None
        self.stopped = False

    # what is kept

    def get(self, key: Hashable) -> Any:
        """What is kept, None for nothing; it is good as of the last `catch_up`."""
        found = self._kept.get(key)
        return found and found[0]

    def keep(self, key: Hashable, value: object, size: int, tags: tuple[Tag, ...], read: Read[Any]) -> None:
        """Keep what was read, unless a change was heard of since."""
        size += ENTRY + sum(TAG + 4 * sum(map(len, tag)) for tag in tags)
        with self._state:
            self._check()
            if read.over != self._made:
                return
            if self._position is None:
                self._begin(read.position)
            if read.position < (self._position or 0) or size > self._room // 4:
                return
            self._drop(key)
            while self._size + size > self._room:
                self._drop(next(iter(self._kept)))
            self._kept[key] = (value, size, tags)
            self._size += size
            for tag in tags:
                self._keys.setdefault(tag, set()).add(key)

    def catch_up(self) -> None:
        """Take all changes into account that were committed before the call. Raises Unavailable.

        One look serves all who came before it began; who comes while it lasts shares the next one.
        """
        with self._turn:
            look = self._gathering
            leads = look is None
            if look is None:
                look = self._gathering = Look()
            before = self._begun
        if leads:
            self._lead(look, before)
        look.over.wait()  # each ends: what it reads over does not wait for long
        if look.failed:
            raise Unavailable("The database does not answer; try again in a moment.", part="postgres")

    def _lead(self, look: Look, before: Look) -> None:
        before.over.wait()
        time.sleep(0)  # whoever is about to come may share it
        with self._turn:
            self._gathering, self._begun = None, look
        try:
            self._look()
            look.failed = False
        except Unavailable as error:
            log.warning("the audit trail cannot be read: %s", error.__cause__)
        finally:
            look.over.set()

    def _look(self) -> None:
        while True:
            after = self._position
            if after is None:
                read = self._store.environment(b"", "")
                with self._state:
                    self._check()
                    if self._position is None and read.over == self._made:
                        self._begin(read.position)
                return
            rows = self._store.changes(after, PAGE)
            with self._state:
                self._check()
                if self._position != after:
                    continue
                self._take(rows)
            if len(rows) < PAGE:
                return

    def _begin(self, position: int) -> None:
        self._position = self._recent_after = position

    def _check(self) -> None:
        """What came over an earlier connection is forgotten: that may have been the trail of another database."""
        made = self._store.connections()
        if made != self._made:
            self._forget()
            self._made = made

    def _take(self, rows: Sequence[Logged]) -> None:
        changed: set[Tag] = set()
        for row in rows:
            changed.update(_tags(row))
            if row.after is not None:
                self._recent.append(row)
                if len(self._recent) > RECENT:
                    self._recent_after = self._recent.popleft().number
            self._position = row.number
        for tag in changed:
            for key in self._keys.pop(tag, ()):
                self._drop(key)
        if changed:
            for watcher in list(self._watchers):
                if not changed.isdisjoint(watcher.tags):
                    watcher.wake()

    def _drop(self, key: Hashable) -> None:
        _, size, tags = self._kept.pop(key, (None, 0, ()))
        self._size -= size
        for tag in tags:
            keys = self._keys.get(tag, set())
            keys.discard(key)
            if not keys:
                self._keys.pop(tag, None)

    def _forget(self) -> None:
        """Whoever waits looks anew: what happened from the old position on to the next one is told to nobody."""
        self._position = None
        self._kept.clear()
        self._keys.clear()
        self._recent.clear()
        self._size = 0
        self._wake_all()

    # who watches

    @property
    def position(self) -> int | None:
        return self._position

    def stage_changes(self, environment: str, after: int) -> Sequence[Logged]:
        """Changes of the environment's stages behind that number, some of them at a time."""
        with self._state:
            if self._position is not None and after >= self._recent_after:
                return [row for row in self._recent if row.environment == environment and row.number > after]
        return self._store.stage_changes(environment, after, PAGE)

    @contextmanager
    def watching(self, tags: Collection[Tag], gone: Callable[[], bool]) -> Iterator[Watcher]:
        """Raises Busy when as many watch already as may."""
        watcher = Watcher(tags, gone)
        with self._state:
            if len(self._watchers) >= self._most:
                raise Busy("As many requests wait here as may; ask without waiting, or again in a moment.")
            self._watchers[watcher] = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._follow, name="following", daemon=True)
                self._thread.start()
        try:
            yield watcher
        finally:
            with self._state:
                del self._watchers[watcher]

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def stop(self) -> None:
        """Let all who wait go, and whoever comes later not wait."""
        self.stopped = True
        self._wake_all()

    def _follow(self) -> None:
        while not self.stopped:
            try:
                self._store.listen(TICK)
                self.catch_up()
            except RegistryError:
                with self._state:
                    self._forget()
                time.sleep(TICK / 4)
            for watcher in list(self._watchers):
                if watcher.gone():
                    watcher.wake()
        self._store.close()

    def _wake_all(self) -> None:
        for watcher in list(self._watchers):
            watcher.wake()
