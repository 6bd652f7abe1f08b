"""What becomes of an import, recorded: received, brought to a final state, tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from service.domain.audit import Change
from service.domain.errors import Conflict
from service.domain.identity import Principal, Scope
from service.domain.importing import ARCHIVE_KEPT, Import, ImportState
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.record_change import record


def cancel_import(store: RegistryStore, clock: Clock, by: Principal, import_id: str) -> Import:
    """Cancel an import that is not final yet, or has failed: its archive is garbage then. Others stay as they are.

    Raises NotFound(kind="import"), or NotAllowed when its workspace is not the caller's.
    """
    with store.transaction() as tx:
        import_ = tx.imports.get(import_id)
        by.require(Scope("import", import_.workspace))
        end_import(tx, by, import_, ImportState.CANCELLED, clock())
        return tx.imports.get(import_id)


def retry_import(store: RegistryStore, clock: Clock, by: Principal, import_id: str) -> Import:
    """Queue a failed import again, with the archive that was kept; it stays the one of who sent it.

    Raises NotFound(kind="import"), NotAllowed when its workspace, or the environment that gets its stages, is not
    the caller's, Conflict unless it failed lately.
    """
    with store.transaction() as tx:
        import_ = tx.imports.get(import_id)
        by.require(Scope("import", import_.workspace))
        if import_.options.environment:
            by.require(Scope("promote", import_.options.environment))
        now = clock()
        if not import_.archive_is_kept(now):
            raise Conflict(
                f"The import failed more than {ARCHIVE_KEPT.days} days ago, and its archive is not kept any more; "
                "send it again.",
                state=import_.state,
            )
        again = tx.imports.retry(import_.id)
        record(tx, import_changed("import.retried", by, again, None), now)
        return again


def end_import(
    tx: Transaction,
    by: Principal,
    import_: Import,
    state: ImportState,
    at: datetime,
    report: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
    attempt: int | None = None,
) -> bool:
    """To a final state; false, and nothing written, when it has one, or another attempt than this one runs."""
    if not tx.imports.finish(import_.id, state, at, report=report, problem=problem, attempt=attempt):
        return False
    tx.claims.release(import_.id)
    after = {"counts": report["counts"]} if report else {"problem": problem} if problem else None
    record(tx, import_changed(f"import.{state}", by, import_, after), at)
    return True


def import_received(by: Principal, import_: Import) -> Change:
    """The digest is empty as long as nobody has hashed the archive."""
    asked = {name: value for name, value in asdict(import_.options).items() if value}
    told = {"archive_digest": import_.archive_digest, "archive_size": import_.archive_size, "options": asked}
    return import_changed("import.received", by, import_, told)


def import_changed(action: str, by: Principal, import_: Import, after: Mapping[str, Any] | None) -> Change:
    environment = import_.options.environment
    return Change(action, by, workspace=import_.workspace, environment=environment, subject=import_.id, after=after)
