"""What resolving and watching need from the outside; part of `service.usecases.ports`.

Each read is one SELECT on a connection outside the pool, and raises Unavailable within a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from service.domain.environment import Assignment, Place
from service.domain.errors import NotFound
from service.domain.identity import Token
from service.domain.model import ModelVersion

V = TypeVar("V")
LIMIT = 0.35
"""Seconds for one of them."""


class Holding(NamedTuple):
    """What is asked of an environment as a whole: of one stage or of all (""), of some models or of all (none)."""

    environment: str
    stage: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """`assignments` are sorted by model and stage (code points)."""

    environment: str
    stages: tuple[str, ...]
    assignments: Sequence[Assignment]


@dataclass(frozen=True)
class Read(Generic[V]):
    """What one SELECT saw: the number of the audit trail's last row then, who asks, and what is there.

    `over` is the number of the connection. `found` is the NotFound that says which part of the address leads nowhere,
    for who may know.
    """

    over: int
    position: int
    token: Token | None
    found: V | NotFound


@dataclass(frozen=True)
class Logged:
    """A row of the audit trail, as far as it says what is different now; `after` is of changes of stages alone."""

    number: int
    at: datetime
    action: str
    environment: str
    model: str
    subject: str
    after: Mapping[str, Any] | None


class HandOut(Protocol):
    def stage(self, secret: bytes, place: Place) -> Read[tuple[Assignment, ModelVersion]]:
        """`secret` is the hash of the token."""
        ...

    def held(self, secret: bytes, asked: Holding) -> Read[Held]: ...

    def environment(self, secret: bytes, name: str) -> Read[tuple[str, ...]]:
        """Its stages."""
        ...

    def changes(self, after: int, limit: int) -> Sequence[Logged]:
        """Rows of the audit trail behind that number, in order. A row that is committed later has a higher number."""
        ...

    def stage_changes(self, environment: str, after: int, limit: int) -> Sequence[Logged]:
        """Those that changed a stage of the environment."""
        ...

    def connections(self) -> int:
        """The number of the connection of these reads; another one may lead to another database."""
        ...

    def listen(self, seconds: float) -> None:
        """Wait until something is committed, the time is over, or the process is told to stop by `close`.

        Raises Unavailable when the connection that listens is lost, which the next call makes anew.
        """
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...
