"""What the use cases need of instances; part of `service.usecases.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.environment import Place
from service.domain.instance import Instance


@dataclass(frozen=True)
class InstanceCount:
    """How many instances of a place run the digest; `version` as in Instance."""

    digest: str
    version: int | None
    expired: bool
    count: int


class Instances(Protocol):
    def report(self, instance: Instance, most: int) -> Instance:
        """Write what it says, and answer with that as it is kept: `since` stays while the digest does.

        Raises Conflict when it is new and the place has `most` already.
        """
        ...

    def list(self, place: Place, limit: int, after: str) -> Sequence[Instance]:
        """By id; `after` is the id to go on after."""
        ...

    def counts(self, place: Place, now: datetime) -> Sequence[InstanceCount]:
        """By digest, and by whether the lease is over."""
        ...

    def delete(self, place: Place, instance_id: str) -> None:
        """Raises NotFound(kind="instance")."""
        ...

    def forget(self, before: datetime) -> int:
        """Delete those whose lease ended before then; answers with how many."""
        ...
