"""What the use cases need from the outside, as protocols; `service.stores` implements them.

Every store method raises `Unavailable` when the part behind it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from service.domain.audit import AuditQuery, AuditRow, Change
from service.usecases.bytes_ports import Damages, Tars
from service.usecases.event_ports import Deliveries, Events, Webhooks
from service.usecases.garbage_ports import Checks, Claims, Garbage
from service.usecases.import_ports import Imports, Uploads
from service.usecases.instance_ports import Instances
from service.usecases.model_ports import Models, Origins
from service.usecases.place_ports import Environments, Tokens, Workspaces
from service.usecases.policy_ports import Evidence, Policies
from service.usecases.registration_ports import Registrations
from service.usecases.session_ports import EndedSessions
from service.usecases.signing_ports import Signatures
from service.usecases.stage_ports import Answers, Promotions, Stages
from service.usecases.view_ports import Views

Clock = Callable[[], datetime]


class References(Protocol):
    """What rows say about the bucket's folders, which end with a slash."""

    def unused(self, folders: Sequence[str], now: datetime) -> Sequence[str]:
        """Those of `folders` that no row refers to and nobody claims; never one that is not of our own layout."""
        ...

    def hold(self) -> None:
        """Nobody claims anything before the transaction ends."""
        ...


class Audit(Protocol):
    def append(self, change: Change, at: datetime) -> None:
        """Keep the change until the transaction ends; there it becomes the next rows of the chain."""
        ...

    def head(self) -> tuple[int, str]:
        """Number and hash of the last row; 0 and GENESIS without one."""
        ...

    def latest(self, wanted: AuditQuery, limit: int, before: int | None = None) -> Sequence[AuditRow]:
        """Newest first; `before` is the number of the row to go on after."""
        ...

    def chain(self, wanted: AuditQuery, limit: int, after: int = 0) -> Sequence[AuditRow]:
        """Oldest first, from behind the row `after`."""
        ...


class Transaction(Protocol):
    """One database transaction; rolled back unless the block ends without an error."""

    @property
    def workspaces(self) -> Workspaces: ...

    @property
    def environments(self) -> Environments: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def imports(self) -> Imports: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def models(self) -> Models: ...

    @property
    def stages(self) -> Stages: ...

    @property
    def views(self) -> Views: ...

    @property
    def registrations(self) -> Registrations: ...

    @property
    def origins(self) -> Origins: ...

    @property
    def references(self) -> References: ...

    @property
    def claims(self) -> Claims: ...

    @property
    def garbage(self) -> Garbage: ...

    @property
    def checks(self) -> Checks: ...

    @property
    def signatures(self) -> Signatures: ...

    @property
    def ended_sessions(self) -> EndedSessions: ...

    @property
    def damages(self) -> Damages: ...

    @property
    def tars(self) -> Tars: ...

    @property
    def instances(self) -> Instances: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def promotions(self) -> Promotions: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def evidence(self) -> Evidence: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def events(self) -> Events: ...

    @property
    def webhooks(self) -> Webhooks: ...

    @property
    def deliveries(self) -> Deliveries: ...


class RegistryStore(Protocol):
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def check(self) -> None:
        """Raises Unavailable unless the database answers and both schemas are at head."""
        ...
