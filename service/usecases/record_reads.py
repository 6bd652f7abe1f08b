"""Record reads: all of them, none, or a sample."""

from __future__ import annotations

import random
from dataclasses import dataclass

from service.domain.audit import Change
from service.usecases.ports import Clock, Transaction
from service.usecases.record_change import record


@dataclass(frozen=True)
class Reads:
    """`share` of the reads is recorded, from 0 (none) to 1 (all)."""

    share: float = 0.0

    def record(self, tx: Transaction, clock: Clock, read: Change) -> None:
        """Record the read if it is one of the sample."""
        if random.random() < self.share:  # noqa: S311 - a sample, no secret
            record(tx, read, clock())


NO_READS = Reads()
