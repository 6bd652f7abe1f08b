"""An error as a problem document (RFC 9457), and the one table of HTTP statuses."""

from __future__ import annotations

from typing import Any

from service.domain import errors

TYPE = "urn:model-registry:problem:"
STATUS: dict[type[errors.RegistryError], int] = {
    errors.InvalidInput: 422,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.InUse: 409,
    errors.PreconditionFailed: 412,
    errors.NotConfigured: 409,
    errors.TooLarge: 413,
    errors.ArchiveRefused: 422,
    errors.ExportRefused: 422,
    errors.Unavailable: 503,
    errors.Damaged: 409,
    errors.RegistryError: 500,
}
_RESERVED = {"type", "title", "status", "detail"}


def problem_document(error: errors.RegistryError) -> dict[str, Any]:
    where = {key: value for key, value in error.where.items() if key not in _RESERVED}
    return {
        "type": TYPE + error.slug,
        "title": error.title,
        "status": status_of(error),
        "detail": error.detail,
        **where,
    }


def status_of(error: errors.RegistryError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
