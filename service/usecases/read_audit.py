"""Read the audit trail: a page of it, or all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.domain.audit import AuditQuery, AuditRow
from service.usecases.ports import RegistryStore

PAGE = 1000


@dataclass(frozen=True)
class AuditPage:
    """`next` is the `before` of the next page, None on the last; `head` number and hash of the trail's last row."""

    rows: Sequence[AuditRow]
    next: int | None
    head: tuple[int, str]


def audit_page(store: RegistryStore, wanted: AuditQuery, limit: int, before: int | None) -> AuditPage:
    """Newest first."""
    with store.transaction() as tx:
        rows = tx.audit.latest(wanted, limit + 1, before)
        more = len(rows) > limit
        return AuditPage(rows[:limit], rows[limit - 1].seq if more else None, tx.audit.head())


def audit_head(store: RegistryStore) -> tuple[int, str]:
    """Number and hash of the last row."""
    with store.transaction() as tx:
        return tx.audit.head()


def audit_rows(store: RegistryStore, wanted: AuditQuery, last: int | None = None) -> Iterator[AuditRow]:
    """Oldest first, up to the row `last`. Memory stays flat, and no transaction is open between two pages."""
    seq = 0
    while True:
        with store.transaction() as tx:
            rows = tx.audit.chain(wanted, PAGE, seq)
        for row in rows:
            if last is not None and row.seq > last:
                return
            yield row
        if len(rows) < PAGE:
            return
        seq = rows[-1].seq
