"""The route of the audit trail."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from service.api.answers import answer
from service.api.audit_payloads import LINES, AuditHeadOut, AuditIn, AuditOut, AuditRowOut
from service.api.auth import access
from service.domain.audit import AuditQuery
from service.domain.identity import AUDIT
from service.usecases.read_audit import audit_head, audit_page, audit_rows
from service.wiring import Parts

TAG = Tag(name="audit", description="Who did what, when")


def add_audit(api: APIBlueprint, parts: Parts) -> None:
    @api.get("/audit", tags=[TAG], responses={200: AuditOut})
    @access(lambda principal, _: principal.require(AUDIT))
    def get_audit(query: AuditIn) -> Response:
        """The audit trail: a page of JSON, or an export of JSON lines, one row a line."""
        lines = request.accept_mimetypes.best_match(["application/json", *LINES], "application/json")
        if query.format == "jsonl" or (query.format is None and lines in LINES):
            return _export(parts, query.wanted(), lines if lines in LINES else LINES[0])
        page = audit_page(parts.store, query.wanted(), query.limit, query.before)
        rows = [AuditRowOut.model_validate(row) for row in page.rows]
        seq, hash_ = page.head
        return answer(AuditOut(rows=rows, next=page.next, head=AuditHeadOut(seq=seq, hash=hash_)))


def _export(parts: Parts, wanted: AuditQuery, kind: str) -> Response:
    """Up to what is the last row now, so that the export ends."""
    seq, hash_ = audit_head(parts.store)
    lines = (row.line() for row in audit_rows(parts.store, wanted, seq))
    headers = {"Audit-Head": f"{seq} {hash_}", "Cache-Control": "private, no-store"}
    return Response(lines, mimetype=kind, headers=headers)
