"""The registry's rows in Postgres: connection, transaction, and the translation of the driver's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy import exc

from service.domain.errors import ConcurrentChange, Conflict, InvalidInput, Unavailable
from service.domain.refusals import CHANGED_AT_ONCE
from service.stores.answer_rows import PostgresAnswers
from service.stores.audit_rows import PostgresAudit
from service.stores.bytes_rows import PostgresDamages, PostgresTars
from service.stores.delivery_rows import PostgresDeliveries
from service.stores.event_rows import PostgresEvents
from service.stores.evidence_rows import PostgresEvidence
from service.stores.garbage_rows import PostgresChecks, PostgresClaims, PostgresGarbage
from service.stores.heads import at_head
from service.stores.import_rows import PostgresImports
from service.stores.instance_rows import PostgresInstances
from service.stores.model_rows import PostgresModels
from service.stores.origin_rows import PostgresOrigins
from service.stores.place_rows import PostgresEnvironments, PostgresTokens, PostgresWorkspaces
from service.stores.policy_rows import PostgresPolicies
from service.stores.promotion_rows import PostgresPromotions
from service.stores.queue import JobQueue
from service.stores.references import PostgresReferences
from service.stores.registration_rows import PostgresRegistrations
from service.stores.session_rows import PostgresEndedSessions
from service.stores.signature_rows import PostgresSignatures
from service.stores.stage_rows import PostgresStages
from service.stores.upload_rows import PostgresUploads
from service.stores.view_rows import PostgresViews
from service.stores.webhook_rows import PostgresWebhooks

IDLE_SECONDS = 60


def make_engine(url: str, pool: int = 16) -> sa.Engine:
    """An engine that connects on first use; nobody waits longer than 5 s for a connection."""
    engine = sa.create_engine(
        url,
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "application_name": "model-registry"},
    )
    sa.event.listen(engine, "handle_error", _refused_by_the_driver)
    sa.event.listen(engine, "connect", _let_go_of_locks)
    return engine


def _let_go_of_locks(driver: psycopg2.extensions.connection, _: object) -> None:
    """A process that stands still inside a transaction must not hold up all others for as long as it stands."""
    with driver.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    driver.commit()


def _refused_by_the_driver(context: sa.engine.ExceptionContext) -> InvalidInput | None:
    """psycopg2 refuses NUL and lone surrogates with a bare ValueError, which SQLAlchemy lets pass as it is."""
    return _unstorable() if isinstance(context.original_exception, ValueError) else None


def _unstorable() -> InvalidInput:
    return InvalidInput("A value cannot be stored as text (a NUL character, perhaps) or is too long.")


@contextmanager
def translated() -> Iterator[None]:
    """No driver text leaves: an unreachable or failing database becomes Unavailable, refused data InvalidInput."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise Unavailable("The database does not answer; try again in a moment.", part="postgres") from error
    except exc.IntegrityError as error:
        kind = ConcurrentChange if isinstance(error.orig, psycopg2.errors.UniqueViolation) else Conflict
        raise kind(CHANGED_AT_ONCE) from error
    except exc.DataError as error:
        raise _unstorable() from error


@dataclass(frozen=True)
class PostgresTransaction:
    connection: sa.Connection
    workspaces: PostgresWorkspaces
    environments: PostgresEnvironments
    tokens: PostgresTokens
    imports: PostgresImports
    uploads: PostgresUploads
    models: PostgresModels
    stages: PostgresStages
    views: PostgresViews
    registrations: PostgresRegistrations
    origins: PostgresOrigins
    references: PostgresReferences
    instances: PostgresInstances
    signatures: PostgresSignatures
    ended_sessions: PostgresEndedSessions
    claims: PostgresClaims
    garbage: PostgresGarbage
    checks: PostgresChecks
    damages: PostgresDamages
    tars: PostgresTars
    policies: PostgresPolicies
    evidence: PostgresEvidence
    audit: PostgresAudit
    events: PostgresEvents
    webhooks: PostgresWebhooks
    deliveries: PostgresDeliveries
    promotions: PostgresPromotions
    answers: PostgresAnswers


class PostgresRegistry:
    """Implements `service.usecases.ports.RegistryStore`."""

    def __init__(self, engine: sa.Engine, queue: JobQueue) -> None:
        self._engine = engine
        self._queue = queue

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        with translated(), self._engine.begin() as connection:
            environments = PostgresEnvironments(connection)
            models = PostgresModels(connection)
            audit = PostgresAudit(connection)
            events = PostgresEvents(connection, self._queue)
            yield PostgresTransaction(
                connection=connection,
                workspaces=PostgresWorkspaces(connection),
                environments=environments,
                tokens=PostgresTokens(connection),
                imports=PostgresImports(connection, self._queue),
                uploads=PostgresUploads(connection),
                models=models,
                stages=PostgresStages(connection, environments),
                views=PostgresViews(connection),
                registrations=PostgresRegistrations(connection, self._queue, models),
                origins=PostgresOrigins(connection),
                references=PostgresReferences(connection),
                instances=PostgresInstances(connection),
                signatures=PostgresSignatures(connection),
                ended_sessions=PostgresEndedSessions(connection),
                claims=PostgresClaims(connection),
                garbage=PostgresGarbage(connection),
                checks=PostgresChecks(connection),
                damages=PostgresDamages(connection),
                tars=PostgresTars(connection),
                policies=PostgresPolicies(connection, environments, models),
                evidence=PostgresEvidence(connection),
                audit=audit,
                events=events,
                webhooks=PostgresWebhooks(connection, environments),
                deliveries=PostgresDeliveries(connection, self._queue),
                promotions=PostgresPromotions(connection),
                answers=PostgresAnswers(connection),
            )
            events.flush()
            audit.flush()

    def check(self) -> None:
        with translated():
            if not at_head(self._engine):
                raise Unavailable("The schema is not at head: run `model-registry migrate`.", part="schema")
