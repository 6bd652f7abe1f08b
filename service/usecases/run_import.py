"""Run a received import: read the archive, store its bytes, then write all rows in one transaction.

The rows are the commit mark. Whatever ends an attempt before them leaves nothing a client can see, and the
next attempt does the same work over the same keys.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from service.domain.audit import Change
from service.domain.errors import ConcurrentChange, Conflict, RegistryError, RequesterRevoked, Unavailable
from service.domain.identity import Principal, Scope
from service.domain.importing import Import, ImportState
from service.domain.layout import own_keys
from service.exports.archive import Limits
from service.exports.survey import Survey, survey
from service.usecases.claim_folders import claim
from service.usecases.end_import import end_import
from service.usecases.identify_archive import identified
from service.usecases.import_artifacts import store_artifacts
from service.usecases.import_plan import Plan, make_plan
from service.usecases.import_report import Report
from service.usecases.import_source import opened_members
from service.usecases.model_ports import PromptVersion
from service.usecases.object_ports import ObjectStore
from service.usecases.plan_check import check_plan
from service.usecases.ports import Clock, RegistryStore, Transaction
from service.usecases.promote import promote
from service.usecases.record_change import record
from service.usecases.register_version import version_changed, version_registered
from service.usecases.set_details import set_details
from service.usecases.sign_versions import sign
from service.usecases.signing_ports import Signer
from service.usecases.stored_bytes import not_stored
from service.usecases.tracking_ports import CentralIds, IdsChanged, RunSpool, TrackingStore

log = logging.getLogger(__name__)
ATTEMPTS = 5


class Superseded(Exception):
    """The import was cancelled, or another attempt began while this one was taken for dead."""


@dataclass(frozen=True)
class Importer:
    """What an import needs. `limits` bound the archive."""

    store: RegistryStore
    objects: ObjectStore
    tracking: TrackingStore
    clock: Clock
    problem: Any
    limits: Limits = field(default_factory=Limits)
    signer: Signer | None = None

    def run(self, import_id: str, *, last: bool = False) -> ImportState | None:
        """Bring the import to a final state and answer with it; None when it already had one.

        The state is another import's when that one answers for it.

        Raises Unavailable when a part did not answer: the job is to be tried again, unless this was the `last`
        attempt. That one, or a defect of ours, which is raised as it is, makes the import `failed`.
        """
        with self.store.transaction() as tx:
            import_ = tx.imports.start(import_id, self.clock())
        if import_ is None:
            self._clear(import_id)
            return None
        try:
            self._identify_and_take_in(import_)
        except Superseded:
            log.info("attempt superseded", extra={"import_id": import_id, "attempt": import_.attempts})
        except Unavailable as error:
            if last:
                self._finish(import_, ImportState.FAILED, error)
            raise
        except RegistryError as error:
            log.info("import refused", extra={"import_id": import_id, "slug": error.slug})
            self._finish(import_, ImportState.REFUSED, error)
        except Exception:
            # Its traceback is for the job's log, not for the client.
            defect = RegistryError("The import failed inside the service; its log names the import.")
            self._finish(import_, ImportState.FAILED, defect)
            raise
        return self._clear(import_id)

    def give_up(self, import_id: str, error: RegistryError) -> None:
        """Make the import `failed` without another attempt; the archive stays, for a retry."""
        with self.store.transaction() as tx:
            import_ = tx.imports.get(import_id)
            end_import(tx, import_.requester, import_, ImportState.FAILED, self.clock(), problem=self.problem(error))

    def _finish(self, import_: Import, state: ImportState, error: RegistryError) -> None:
        with self.store.transaction() as tx:
            problem, attempt = self.problem(error), import_.attempts
            end_import(tx, import_.requester, import_, state, self.clock(), problem=problem, attempt=attempt)

    def _clear(self, import_id: str) -> ImportState:
        """Delete the archive when nobody will read it again; whoever ended the import may have died before."""
        with self.store.transaction() as tx:
            import_ = tx.imports.get(import_id)
        another_answers = import_.id != import_id
        if another_answers or (import_.state.final and import_.state is not ImportState.FAILED):
            self.objects.delete(own_keys(import_id))
        return import_.state

    def _identify_and_take_in(self, import_: Import) -> None:
        """Whoever loses races for rows has nothing wrong with its archive, and is to be tried again later."""
        try:
            known = identified(self.store, self.objects, self.clock, import_, _Steps(self, import_).at)
        except ConcurrentChange as change:
            raise Unavailable("Other imports keep changing the same rows.", part="postgres") from change
        if known.id == import_.id:
            # The fence stays this attempt's own, whoever was faster with the digest.
            self._until_ids_hold(replace(known, attempts=import_.attempts))

    def _until_ids_hold(self, import_: Import) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._take_in(import_)
                return
            except (IdsChanged, ConcurrentChange):
                log.info("ids changed, planning again", extra={"import_id": import_.id, "round": attempt})
        raise Unavailable("Other imports keep taking the same ids.", part="postgres")

    def _take_in(self, import_: Import) -> None:
        with self.tracking.ids(import_.workspace) as ids, self.tracking.spool(ids) as spool:
            found = self._survey(import_, spool)
            step = _Steps(self, import_, {"bytes_read": found.bytes, "rows_read": spool.rows})
            with self.store.transaction() as tx:
                plan = make_plan(tx, import_, found, ids, lambda: step.at({}))
                check_plan(tx, plan, import_.options.environment)
            claim(self.store, self.clock, import_.id, plan.folders)
            stored = self._store(import_, found, plan)
            with self.store.transaction() as tx:
                report = self._write(tx, import_, plan, spool, ids)
                report.artifacts(stored)
                document = report.document()
                now, attempt = self.clock(), import_.attempts
                by = import_.requester
                if not end_import(tx, by, import_, ImportState.DONE, now, report=document, attempt=attempt):
                    raise Superseded

    def _survey(self, import_: Import, spool: RunSpool) -> Survey:
        step = _Steps(self, import_)
        with opened_members(self.objects, import_, self.limits) as members:
            found = survey(
                members,
                spool.add,
                lambda so_far: step.at({"bytes_read": so_far.bytes, "rows_read": spool.rows}),
                spool.add_spans,
            )
        step.at({"bytes_read": found.bytes, "rows_read": spool.rows}, force=True)
        return found

    def _store(self, import_: Import, found: Survey, plan: Plan) -> int:
        if not plan.targets:
            return 0
        targets = not_stored(self.store, self.objects, plan.targets, (new.manifest for new in plan.versions))
        step = _Steps(self, import_, {"bytes_read": found.bytes})
        with opened_members(self.objects, import_, self.limits) as members:
            return store_artifacts(self.objects, members, targets, lambda done: step.at({"bytes_stored": done}))

    def _write(self, tx: Transaction, import_: Import, plan: Plan, spool: RunSpool, ids: CentralIds) -> Report:
        report = Report(import_, plan)
        report.tracking(self.tracking.write(tx, plan.batch, spool, ids))
        # Before the rows of models and versions, as whoever withdraws or deletes a version takes them.
        tx.stages.lock(report.places())
        by, now = import_.requester, self.clock()
        made = {
            name: tx.models.own(name, import_.workspace, details.creation_time)
            for name, details in sorted(plan.details.items())
        }
        for version in plan.versions:
            got = tx.models.add_version(version)
            changed = not report.is_new(got) and tx.models.update_version(got, version)
            report.version(version, got, changed=changed)
            if report.is_new(got):
                sign(tx, self.signer, version.manifest, now)
                record(tx, version_registered(by, import_.workspace, got), now)
            elif changed:
                record(tx, version_changed(by, import_.workspace, got, version), now)
        for prompt in plan.prompts:
            kept = tx.models.add_prompt(prompt)
            report.prompt(prompt, kept)
            if kept.change != "skipped":
                record(tx, _prompt_recorded(by, import_.workspace, kept), now)
        for name, details in plan.details.items():
            known = partial(_known_version, tx, import_.workspace, name, str(details.lineage.get("original_model", "")))
            wanted = report.renumbered(name, details, known)
            changed = set_details(tx, by, import_.workspace, name, wanted, now, created=made[name])
            report.model(name, details, created=made[name], changed=changed)
        self._promote(tx, import_, report)
        return report

    def _promote(self, tx: Transaction, import_: Import, report: Report) -> None:
        """Ask for the source's stages, whose places are locked.

        What the environment refuses is told in the report, and the import goes on.
        """
        for request in report.stages_wanted():
            try:
                _check_requester(tx, import_, self.clock())
                report.promoted(request, promote(tx, self.clock, import_.requester, request))
            except Conflict as error:
                report.not_promoted(request, self.problem(error))


def _check_requester(tx: Transaction, import_: Import, now: datetime) -> None:
    """Raises RequesterRevoked when whoever sent the archive, days ago perhaps, may not promote any more."""
    token = tx.tokens.held({import_.created_by_id}).get(import_.created_by_id)
    needed = Scope("promote", import_.options.environment)
    if token is None or not token.usable(now) or not token.principal.may(needed):
        raise RequesterRevoked(f"The token of {import_.created_by!r}, who sent the import, may not promote any more.")


def _prompt_recorded(by: Principal, workspace: str, kept: PromptVersion) -> Change:
    done = "registered" if kept.change == "created" else "changed"
    told = {"version": kept.version}
    return Change(f"prompt.{done}", by, workspace=workspace, model=kept.name, subject=str(kept.version), after=told)


def _known_version(tx: Transaction, workspace: str, model: str, original_model: str, number: int) -> int | None:
    """The newest version here that an earlier import made of the original one."""
    found = tx.origins.versions(workspace, original_model, str(number))
    return max((origin.version for origin in found if origin.model == model), default=None)


class _Steps:
    """Writes progress at most twice a second, and notices there that the attempt is no longer wanted."""

    def __init__(self, importer: Importer, import_: Import, progress: Mapping[str, int] | None = None) -> None:
        self._importer = importer
        self._import = import_
        self._progress = dict(progress or {})
        self._last = importer.clock()

    def at(self, progress: Mapping[str, int], *, force: bool = False) -> None:
        now = self._importer.clock()
        if not force and (now - self._last).total_seconds() < 0.5:
            return
        self._last = now
        self._progress.update(progress)
        with self._importer.store.transaction() as tx:
            current = tx.imports.progress(self._import.id, self._import.attempts, self._progress)
        if not current:
            raise Superseded
