"""Do what a request asks once, however often it is sent with the same Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from service.domain.identity import Principal
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.stage_ports import Answer

KEPT_FOR = timedelta(hours=24)
REPLAYED = "Idempotency-Replayed"
Work = Callable[[Transaction], Answer]


@dataclass(frozen=True)
class Key:
    """An Idempotency-Key with everything that the request asks for, as plain JSON."""

    text: str
    request: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()


class _DryRunError(Exception):
    """Ends a transaction that is to change nothing."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def answer_once(
    store: RegistryStore, clock: Clock, by: Principal, key: Key | None, work: Work, *, dry_run: bool = False
) -> Answer:
    """The answer of `work`, done in one transaction with writing the answer down; or the one of the first time.

    A key is the token's own, and counts for KEPT_FOR. The same request at the same time waits for the first one.
    What raises changed nothing and is not kept: sent again, it is done anew. A dry run does all of it, and then
    undoes it; it takes no key. Raises KeyReused.
    """
    try:
        with store.transaction() as tx:
            if dry_run:
                raise _DryRunError(work(tx))
            if key is None:
                return work(tx)
            now = clock()
            known = tx.answers.claim(by.token_id, key.text, key.fingerprint, now, now - KEPT_FOR)
            if known is not None:
                return replace(known, headers={**known.headers, REPLAYED: "true"})
            answer = work(tx)
            tx.answers.keep(by.token_id, key.text, answer)
            return answer
    except _DryRunError as done:
        return done.answer


def forget_answers(store: RegistryStore, clock: Clock) -> int:
    """Delete what is older than KEPT_FOR; answers with how many."""
    with store.transaction() as tx:
        return tx.answers.purge(clock() - KEPT_FOR)
