"""What can go wrong, in words the client can act on.

Each class carries a stable `slug` (the last part of the problem's `type`) and a `title`. The HTTP
status of each lives in one table, `service.api.problems`.
"""

from __future__ import annotations


class RegistryError(Exception):
    """Base of every error a client may see.

    Args:
        detail: one sentence: what was wrong and what to do.
        where: the file, field, parameter or header that was wrong, by name.
    """

    slug = "error"
    title = "The request failed"

    def __init__(self, detail: str, **where: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where


class InvalidInput(RegistryError):
    slug = "invalid-input"
    title = "The request is not valid"


class NotAuthenticated(RegistryError):
    slug = "not-authenticated"
    title = "A valid token is needed"


class NotAllowed(RegistryError):
    slug = "not-allowed"
    title = "The token does not allow this"


class NotFound(RegistryError):
    """`kind` is the noun that was looked for: workspace, environment, stage, model, …"""

    slug = "not-found"
    title = "There is no such thing here"

    def __init__(self, kind: str, name: str, detail: str = "") -> None:
        super().__init__(detail or f"There is no {kind} {name!r}.", kind=kind, name=name)
        self.slug = f"{kind.replace(' ', '-')}-not-found"
        self.title = f"No such {kind}"


class Conflict(RegistryError):
    slug = "conflict"
    title = "The request does not fit what is there"


class ConcurrentChange(Conflict):
    """Someone else wrote the same rows first; the same request may well succeed now."""


class PreconditionFailed(RegistryError):
    """What the client saw last is no longer what is there; `current` tells which version is."""

    slug = "precondition-failed"
    title = "It was changed meanwhile"


class InUse(Conflict):
    slug = "in-use"
    title = "It is still used"


class NotConfigured(Conflict):
    """A setting that this needs is not there; `setting` names it."""

    slug = "not-configured"
    title = "The operator has not set this up"


class Stale(Conflict):
    """`current` is what the stage holds: revision, version, digest."""

    slug = "stale"
    title = "The stage has changed meanwhile"


class PolicyRefused(Conflict):
    """`rules` are those that say no, each with rule, expected, found and detail."""

    slug = "policy-refused"
    title = "The environment's policy refuses it"


class Frozen(Conflict):
    """`reason`, `by` and `until` are those of the freeze."""

    slug = "frozen"
    title = "The environment is frozen"


class Withdrawn(Conflict):
    slug = "version-withdrawn"
    title = "The version was withdrawn"


class DigestChanged(Conflict):
    slug = "digest-changed"
    title = "These are not the bytes that were asked for"


class PromotionClosed(Conflict):
    """`state` is the promotion's."""

    slug = "promotion-closed"
    title = "The promotion is not pending any more"


class AlreadyApproved(Conflict):
    slug = "already-approved"
    title = "The same approver has approved it already"


class SelfApproval(NotAllowed):
    slug = "self-approval"
    title = "Nobody approves what they asked for"


class RequesterRevoked(Conflict):
    slug = "requester-revoked"
    title = "The token that asked for it was revoked"


class NothingBefore(Conflict):
    slug = "nothing-to-roll-back-to"
    title = "There is nothing to roll back to"


class KeyReused(Conflict):
    slug = "idempotency-key-reused"
    title = "The Idempotency-Key belongs to another request"


class TooLarge(RegistryError):
    slug = "too-large"
    title = "The body is too large"


class ArchiveRefused(RegistryError):
    """The body is not an archive that can be taken in safely; `member` names the culprit."""

    slug = "archive-refused"
    title = "The archive cannot be taken in"


class ExportRefused(RegistryError):
    """The archive is sound but holds no export this service can read; `file`, `field` say where."""

    slug = "export-refused"
    title = "The export cannot be read"


class Unavailable(RegistryError):
    """A part the service needs (Postgres, S3) did not answer; try again."""

    slug = "unavailable"
    title = "A needed part does not answer"


class Busy(Unavailable):
    """As much goes on here as may; another process may have room."""

    slug = "busy"
    title = "Too much at once"


class Damaged(RegistryError):
    """Stored bytes are missing or are not the bytes that were registered."""

    slug = "damaged"
    title = "Stored bytes are damaged"
