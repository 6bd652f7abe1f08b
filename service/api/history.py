"""Routes of what happened to stages and versions: history, withdrawal, freezes."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import model_payloads as mp
from service.api import payloads as p
from service.api import promotion_payloads as pp
from service.api.answers import answer, no_content
from service.api.auth import admin, authenticated, principal, scoped
from service.api.document import problems
from service.api.models import version_fields
from service.api.once import once
from service.api.paths import STAGE
from service.api.promotions import precondition
from service.domain.environment import Place
from service.usecases.change_stage import empty_stage
from service.usecases.freeze_environment import freeze, unfreeze
from service.usecases.ports import Transaction
from service.usecases.read_history import READ, history, where
from service.usecases.withdraw import reinstate, withdraw
from service.wiring import Parts

HISTORY = Tag(name="history", description="What stages held when; withdrawing versions, freezing environments")
FREEZE = "/environments/<environment>/freeze"
VERSION = "/models/<model>/versions/<version>"


def add_history(api: APIBlueprint, parts: Parts) -> None:
    @api.get(f"{STAGE}/history", tags=[HISTORY], responses={200: pp.HistoryOut})
    @scoped(*READ, parameter="environment")
    def get_history(path: p.StagePath, query: pp.HistoryQuery) -> Response:
        """Every change of the stage, newest first."""
        place = Place(path.environment, path.model, path.stage)
        changes = history(parts.store, place, query.limit, query.before)
        rows = [pp.ChangeOut.model_validate(change) for change in changes]
        return answer(pp.HistoryOut(**place._asdict(), changes=rows))

    @api.delete(STAGE, tags=[HISTORY], responses={200: pp.ChangeOut, **problems(409, 412)})
    @scoped("promote", parameter="environment")
    def empty_stage_(path: p.StagePath, query: pp.EmptyQuery, header: pp.MatchHeaders) -> Response:
        """Take the version out of the stage."""
        place = Place(path.environment, path.model, path.stage)
        with parts.store.transaction() as tx:
            change = empty_stage(tx, parts.clock, principal(), place, query.comment, precondition(header.if_match))
        return answer(pp.ChangeOut.model_validate(change))

    @api.get(f"{VERSION}/where", tags=[HISTORY], responses={200: pp.WhereOut})
    @authenticated()
    def get_where(path: p.VersionPath) -> Response:
        """Everywhere the version is or was current, in the environments that the token may read."""
        stays = where(parts.store, principal(), path.model, path.version)
        rows = [pp.StayOut.model_validate(stay) for stay in stays]
        return answer(pp.WhereOut(model=path.model, version=path.version, stays=rows))


def add_withdrawals(api: APIBlueprint, parts: Parts) -> None:
    @api.post(f"{VERSION}/withdraw", tags=[HISTORY], responses={200: pp.WithdrawnOut, **problems(409, 413, 415)})
    @admin()
    def withdraw_version(path: p.VersionPath, header: pp.KeyHeaders, body: pp.WithdrawIn) -> Response:
        """Take the version out of every stage of every environment, and let it into none."""

        def work(tx: Transaction) -> Response:
            done = withdraw(tx, parts.clock, principal(), path.model, path.version, body.reason, body.then)
            return answer(
                pp.WithdrawnOut(
                    version=mp.VersionOut(**version_fields(done.version)),
                    changes=[pp.ChangeOut.model_validate(change) for change in done.changes],
                    refused_promotions=[promotion.id for promotion in done.refused],
                )
            )

        return once(parts, header.idempotency_key, body, work)

    @api.post(f"{VERSION}/reinstate", tags=[HISTORY], responses={200: mp.VersionOut, **problems(409, 413, 415)})
    @admin()
    def reinstate_version(path: p.VersionPath, header: pp.KeyHeaders, body: pp.ReinstateIn) -> Response:
        """Let a withdrawn version into stages again; none changes."""

        def work(tx: Transaction) -> Response:
            version = reinstate(tx, parts.clock, principal(), path.model, path.version, body.reason)
            return answer(mp.VersionOut(**version_fields(version)))

        return once(parts, header.idempotency_key, body, work)


def add_freezes(api: APIBlueprint, parts: Parts) -> None:
    @api.put(FREEZE, tags=[HISTORY], responses={200: p.EnvironmentOut, **problems(409, 413, 415)})
    @admin()
    def put_freeze(path: p.EnvironmentPath, body: pp.FreezeIn) -> Response:
        """Let no stage of the environment change; withdrawing a version still does."""
        with parts.store.transaction() as tx:
            frozen = freeze(tx, parts.clock, principal(), path.environment, body.reason, body.until)
        return answer(p.EnvironmentOut.model_validate(frozen))

    @api.delete(FREEZE, tags=[HISTORY], responses={204: None})
    @admin()
    def delete_freeze(path: p.EnvironmentPath) -> Response:
        """Lift the freeze."""
        with parts.store.transaction() as tx:
            unfreeze(tx, parts.clock, principal(), path.environment)
        return no_content()
