"""Routes of runs: which id here is which id there."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import import_payloads as ip
from service.api.answers import answer
from service.api.auth import authenticated, principal, scoped
from service.domain.identity import Scope
from service.wiring import Parts

RUNS = Tag(name="runs", description="Where runs come from")


def add_runs(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/workspaces/<workspace>/runs/<original_run_id>", tags=[RUNS], responses={200: ip.RunOut})
    @scoped("import", parameter="workspace")
    def get_imported_run(path: ip.OriginalRunPath) -> Response:
        """The run that a workspace knows by this id."""
        with parts.store.transaction() as tx:
            tx.workspaces.get(path.workspace)
            return answer(ip.RunOut.model_validate(tx.models.imported_run(path.workspace, path.original_run_id)))

    @api.get("/runs/<run_id>", tags=[RUNS], responses={200: ip.RunOut})
    @authenticated()
    def get_run(path: ip.RunPath) -> Response:
        """The workspace and the original id of a run."""
        with parts.store.transaction() as tx:
            run = tx.models.run(path.run_id)
        principal().require(Scope("import", run.workspace))
        return answer(ip.RunOut.model_validate(run))
